"""AWS's managed rules, judged one by one for an API whose bodies are prompts.

A prompt may be long and may hold HTML, SQL, paths, addresses or an exploit that somebody asks about: rules
over bodies count, and the gateway judges bodies itself. Rules over everything else block. The names are
those of https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
(November 2026). A name that a group does not have is ignored by AWS, and a rule that AWS adds to a group
acts as AWS decides until it is listed here.

Left out on purpose: `AWSManagedRulesAmazonIpReputationList` and `AWSManagedRulesAnonymousIpList` know public
addresses only, and an internal load balancer sees private ones; `AWSManagedRulesSQLiRuleSet`, the PHP,
Linux, Windows and WordPress sets guard what does not run here; `AWSManagedRulesAdminProtectionRuleSet` guards
paths that the listener does not forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class ManagedRuleGroup:
    """A group of AWS's rules: those that block, and those that only count, each with its reason.

    `capacity_units` is the group's own share of the 1500 units of a web ACL.
    """

    name: str
    capacity_units: int
    blocking: frozenset[str]
    counting: Mapping[str, str]


COMMON_RULES = ManagedRuleGroup(
    name="AWSManagedRulesCommonRuleSet",
    capacity_units=700,
    blocking=frozenset(
        {
            "UserAgent_BadBots_HEADER",
            "SizeRestrictions_QUERYSTRING",
            "SizeRestrictions_Cookie_HEADER",
            "SizeRestrictions_URIPATH",
            "EC2MetaDataSSRF_COOKIE",
            "EC2MetaDataSSRF_URIPATH",
            "EC2MetaDataSSRF_QUERYARGUMENTS",
            "GenericLFI_QUERYARGUMENTS",
            "GenericLFI_URIPATH",
            "RestrictedExtensions_URIPATH",
            "RestrictedExtensions_QUERYARGUMENTS",
            "GenericRFI_QUERYARGUMENTS",
            "GenericRFI_URIPATH",
            "CrossSiteScripting_COOKIE",
            "CrossSiteScripting_QUERYARGUMENTS",
            "CrossSiteScripting_URIPATH",
        }
    ),
    counting=MappingProxyType(
        {
            "NoUserAgent_HEADER": "programs call this API, and not every HTTP client names itself",
            "SizeRestrictions_BODY": "prompts exceed 8 KB every day; the gateway refuses what is too long",
            "EC2MetaDataSSRF_BODY": "prompts ask about cloud infrastructure; nothing fetches what they name",
            "GenericLFI_BODY": "prompts hold paths and source code; nothing opens them",
            "GenericRFI_BODY": "prompts hold links, and image parts are links",
            "CrossSiteScripting_BODY": "prompts hold HTML and JavaScript; answers are JSON, never rendered",
        }
    ),
)

KNOWN_BAD_INPUTS = ManagedRuleGroup(
    name="AWSManagedRulesKnownBadInputsRuleSet",
    capacity_units=200,
    blocking=frozenset(
        {
            "JavaDeserializationRCE_HEADER",
            "JavaDeserializationRCE_URIPATH",
            "JavaDeserializationRCE_QUERYSTRING",
            "Host_localhost_HEADER",
            "PROPFIND_METHOD",
            "ExploitablePaths_URIPATH",
            "Log4JRCE_HEADER",
            "Log4JRCE_QUERYSTRING",
            "Log4JRCE_URIPATH",
        }
    ),
    counting=MappingProxyType(
        {
            "JavaDeserializationRCE_BODY": "prompts ask about exploits; no Java runs here",
            "Log4JRCE_BODY": "prompts quote log lines and advisories; no Java runs here",
            "ReactJSRCE_BODY": "prompts hold React code; no JavaScript server runs here",
        }
    ),
)

MANAGED_RULE_GROUPS = (COMMON_RULES, KNOWN_BAD_INPUTS)
