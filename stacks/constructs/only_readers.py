"""Secrets that nobody reads but those who need them, whatever other policies allow."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager


def only_read_by(readers: Sequence[iam.IRole], secret: secretsmanager.ISecret) -> None:
    """Deny everybody else the value of `secret`. Operators go on putting values.

    The statement lives in the stack of the first reader, which knows all of them.
    """
    secretsmanager.CfnResourcePolicy(
        cdk.Stack.of(readers[0]),
        f"OnlyReader{secret.node.id}",
        secret_id=secret.secret_arn,
        block_public_policy=True,
        resource_policy=iam.PolicyDocument(
            statements=[
                iam.PolicyStatement(
                    sid="OnlyItsReaders",
                    effect=iam.Effect.DENY,
                    principals=[iam.AnyPrincipal()],
                    actions=["secretsmanager:GetSecretValue"],
                    resources=[secret.secret_arn],
                    conditions={
                        "ArnNotEquals": {"aws:PrincipalArn": [reader.role_arn for reader in readers]}
                    },
                )
            ]
        ),
    )
