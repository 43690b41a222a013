"""Every rule that an environment is judged by when it is synthesised, beside the CDK's own."""

from __future__ import annotations

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

from stacks.house_rules.plugin import HouseRules
from stacks.settings import Environment


def judge(app: cdk.App, environment: Environment) -> None:
    """Make the synthesis of `app` fail on a finding of any pack that is not acknowledged."""
    cdk.Validations.of(app).add_plugins(
        AwsSolutionsChecks(app),
        NIST80053R5Checks(app),
        HIPAASecurityChecks(app),
        PCIDSS321Checks(app),
        HouseRules(environment),
    )
