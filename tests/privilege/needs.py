"""Why each permission is there: the check that fails without it. No other permission is deployed."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A permission and what it is for. `on` must stand in the resource or condition of the statement."""

    role: str
    action: str
    on: str
    check: str
    why: str


_OF_A_SECRET = {
    "ClientKeys": "rotates the client keys",
    "AdminKeys": "rotates the admin keys",
    "Google": "rotates Google's key",
    "LlamaAdministration": "promotes the key that a person put",
    "Llama": "rotates the Llama endpoint's key",
}
_INTERFACES = (
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "AssignPrivateIpAddresses",
    "UnassignPrivateIpAddresses",
)
JOINS_THE_NETWORK = "(Lambda joins the function to the network: not enforced here)"
"""In the place of a check, for what Lambda does itself before it runs a function."""

_PARAMETERS = ("FlagsRole", "RouteSetRole")
_LOG = "Lambda writes the log as the function."
_REGISTRY = "Models are read in the background and versions registered by administrators."

NEEDS = (
    # What the gateway does.
    Need(
        "TaskRole", "dynamodb:Scan", "FlagTable", "reads the flags' second tier",
        "Kill switches hold while Parameter Store is down.",
    ),
    Need("TaskRole", "dynamodb:Scan", "", "reads the registry", _REGISTRY),
    Need(
        "TaskRole", "dynamodb:PutItem", "AuditTable", "adds a version to the registry",
        "No change without its record; a version and its record are one transaction.",
    ),
    Need(
        "TaskRole", "dynamodb:PutItem", "FlagTable", "writes both stores of a kill switch",
        "A provider can be stopped while Parameter Store is down.",
    ),
    Need("TaskRole", "dynamodb:PutItem", "", "adds a version to the registry", _REGISTRY),
    Need("TaskRole", "dynamodb:GetItem", "", "recognises a version that is there", _REGISTRY),
    Need(
        "TaskRole", "dynamodb:UpdateItem", "evidence#", "counts evidence of the shadow stage",
        "The next step of a rollout takes a number of decisions, which replicas add up.",
    ),
    Need(
        "TaskRole", "dynamodb:UpdateItem", "", "moves a version on",
        "Of a version its lifecycle alone changes, by administrators.",
    ),
    Need(
        "TaskRole", "dynamodb:Query", "", "tells the audit records",
        "A record continues the chain of those before it.",
    ),
    Need(
        "TaskRole", "ssm:GetParameter", "library", "activates a route set",
        "What is activated is what was proposed.",
    ),
    Need("TaskRole", "ssm:GetParameter", "", "reads the route set", "It says which versions are routed to."),
    Need(
        "TaskRole", "ssm:GetParameterHistory", "", "takes a route set back",
        "Administrators go back to what was in force before.",
    ),
    Need(
        "TaskRole", "ssm:PutParameter", "library", "proposes a route set",
        "Administrators propose route sets, each under a name of its own.",
    ),
    Need(
        "TaskRole", "ssm:PutParameter", "flags", "writes both stores of a kill switch",
        "Administrators set flags and stop providers.",
    ),
    Need(
        "TaskRole", "ssm:PutParameter", "", "activates a route set",
        "Administrators put a route set into force.",
    ),
    Need(
        "TaskRole", "ssm:GetParametersByPath", "library", "tells of the route sets",
        "Administrators see what is proposed; with the flags, kill switches and rollout stage.",
    ),
    Need("TaskRole", "ssm:GetParametersByPath", "", "reads the flags", "Kill switches, rollout stage."),
    Need(
        "TaskRole", "secretsmanager:GetSecretValue", "ClientKeys", "reads the client keys",
        "Callers are known by them.",
    ),
    Need(
        "TaskRole", "secretsmanager:GetSecretValue", "AdminKeys", "reads the admin keys",
        "Administrators are known by them.",
    ),
    Need(
        "TaskRole", "secretsmanager:GetSecretValue", "Google", "reads Google's key",
        "It signs the requests for Google's tokens.",
    ),
    Need(
        "TaskRole", "secretsmanager:GetSecretValue", "Llama", "reads the Llama endpoint's key",
        "Every request to the endpoint carries it.",
    ),
    Need(
        "TaskRole", "kms:Decrypt", "dynamodb.", "reads the registry",
        "DynamoDB decrypts the table's key for whoever reads or writes it.",
    ),
    Need(
        "TaskRole", "kms:Decrypt", "secretsmanager.", "reads the client keys",
        "Secrets Manager decrypts a secret for whoever reads it.",
    ),
    *(
        Need(
            "TaskRole", action, invocation, f"{verb} {model}",
            "The profile, and through it the model in each region it may route to.",
        )
        for action, verb in (
            ("bedrock:InvokeModel", "answers with"),
            ("bedrock:InvokeModelWithResponseStream", "streams with"),
        )
        for invocation, model in (
            ("claude-haiku-4-5", "claude-haiku-4-5"),
            ("claude-sonnet-4-5", "claude-sonnet-4-5"),
            ("llama3-2-3b", "llama-3.2-3b-instruct"),
        )
    ),
    # What the registry guard does.
    Need(
        "GuardRole", "dynamodb:GetItem", "", "refuses a changed version",
        "A deployed version is compared with its declaration.",
    ),
    Need(
        "GuardRole", "dynamodb:PutItem", "AuditTable", "adds a declared version",
        "A version and its record are one transaction.",
    ),
    Need("GuardRole", "dynamodb:PutItem", "", "adds a declared version", "Declared versions are deployed."),
    Need(
        "GuardRole", "dynamodb:Query", "", "adds a declared version",
        "A record continues the chain of those before it.",
    ),
    Need(
        "GuardRole", "ssm:GetParameter", "", "adds a declared version",
        "What the route set in force names is judged before anything is added.",
    ),
    Need(
        "GuardRole", "kms:Decrypt", "dynamodb.", "adds a declared version",
        "DynamoDB decrypts the table's key for whoever reads or writes it.",
    ),
    Need("GuardRole", "logs:CreateLogStream", "", "writes its log", _LOG),
    Need("GuardRole", "logs:PutLogEvents", "", "writes its log", _LOG),
    # What declares the parameters that operators own.
    *(
        need
        for role in _PARAMETERS
        for need in (
            Need(role, "ssm:GetParameter", "", "creates its parameters", "What an operator has set stays."),
            Need(role, "ssm:PutParameter", "", "creates its parameters", "What is absent is created."),
            Need(role, "ssm:AddTagsToResource", "", "tags its parameters", "The tags are the environment's."),
            Need(
                role, "ssm:DeleteParameter", "", "deletes its parameters",
                "An environment without `stateful_protection` leaves nothing behind.",
            ),
            Need(role, "logs:CreateLogStream", "", "writes its log", _LOG),
            Need(role, "logs:PutLogEvents", "", "writes its log", _LOG),
        )
    ),
    Need(
        "RouteSetRole", "dynamodb:PutItem", "AuditTable", "creates its parameters",
        "No route set is put into force without its record.",
    ),
    Need("RouteSetRole", "dynamodb:Query", "AuditTable", "creates its parameters", "Records are chained."),
    Need(
        "RouteSetRole", "kms:Decrypt", "dynamodb.", "creates its parameters",
        "DynamoDB decrypts the table for whoever uses it.",
    ),
    # What the rotation of secrets does.
    *(
        Need("RotationRole", f"secretsmanager:{action}", secret, check, why)
        for secret, check in _OF_A_SECRET.items()
        for action, why in (
            ("DescribeSecret", "Labels say which version is current or pending, tags what was begun."),
            ("GetSecretValue", "A new key is made with the current one, and tested."),
            ("TagResource", "It writes down when a rotation began and when a version was promoted."),
            ("UpdateSecretVersionStage", "To promote a version is to move its label."),
        )
    ),
    *(
        Need(
            "RotationRole", "secretsmanager:PutSecretValue", secret, check,
            "The new value, and the current one without a key whose overlap is over.",
        )
        for secret, check in _OF_A_SECRET.items()
        if secret != "LlamaAdministration"
    ),
    Need(
        "RotationRole", "kms:Decrypt", "secretsmanager.", "rotates the client keys",
        "Secrets Manager decrypts a secret for whoever reads it.",
    ),
    Need(
        "RotationRole", "kms:GenerateDataKey", "secretsmanager.", "rotates the client keys",
        "Secrets Manager encrypts a new value for whoever puts it.",
    ),
    Need("RotationRole", "logs:CreateLogStream", "", "writes its log", _LOG),
    Need("RotationRole", "logs:PutLogEvents", "", "writes its log", _LOG),
    *(
        Need(
            "RotationRole", f"ec2:{action}", "", JOINS_THE_NETWORK,
            "It calls providers, through the firewall; its own code is denied the same actions.",
        )
        for action in _INTERFACES
    ),
    # What the functions of the flags do.
    Need(
        "UpdateRole", "ssm:GetParametersByPath", "", "takes wrong values back",
        "It compares all flags, whatever an event says.",
    ),
    Need(
        "UpdateRole", "ssm:GetParameterHistory", "", "takes wrong values back",
        "Changes between two looks are judged one after the other, and records name who made them.",
    ),
    Need(
        "UpdateRole", "ssm:PutParameter", "", "takes wrong values back",
        "Values that are not allowed do not stay.",
    ),
    Need(
        "UpdateRole", "dynamodb:Scan", "FlagTable", "writes changes to the table",
        "Only what is newer is written.",
    ),
    Need(
        "UpdateRole", "dynamodb:PutItem", "FlagTable", "writes changes to the table",
        "It is the second tier.",
    ),
    Need("UpdateRole", "dynamodb:Query", "AuditTable", "records changes", "Records are chained."),
    Need("UpdateRole", "dynamodb:PutItem", "AuditTable", "records changes", "No change without its record."),
    Need(
        "UpdateRole", "kms:Decrypt", "dynamodb.", "writes changes to the table",
        "DynamoDB decrypts the tables for whoever uses them.",
    ),
    Need("UpdateRole", "logs:CreateLogStream", "", "writes its log", _LOG),
    Need("UpdateRole", "logs:PutLogEvents", "", "writes its log", _LOG),
    Need(
        "KillSwitchRole", "ssm:GetParameter", "", "leaves alone what was revived by the parameter",
        "A late message must not kill what an operator has revived.",
    ),
    Need(
        "KillSwitchRole", "ssm:PutParameter", "", "turns switches on in the parameter",
        "Replicas read it first.",
    ),
    Need(
        "KillSwitchRole", "dynamodb:GetItem", "FlagTable", "leaves alone what was revived in the table",
        "A late message must not kill what an operator has revived.",
    ),
    Need(
        "KillSwitchRole", "dynamodb:PutItem", "FlagTable", "turns switches on in the table",
        "A provider can be stopped while Parameter Store is down.",
    ),
    Need("KillSwitchRole", "dynamodb:Query", "AuditTable", "records that it did", "Records are chained."),
    Need(
        "KillSwitchRole", "dynamodb:PutItem", "AuditTable", "records that it did",
        "Who looks later must know that it was an alarm.",
    ),
    Need(
        "KillSwitchRole", "kms:Decrypt", "dynamodb.", "turns switches on in the table",
        "DynamoDB decrypts the tables for whoever uses them.",
    ),
    Need("KillSwitchRole", "logs:CreateLogStream", "", "writes its log", _LOG),
    Need("KillSwitchRole", "logs:PutLogEvents", "", "writes its log", _LOG),
    # What ECS does to start the gateway.
    Need(
        "ContainerExecutionRole", "ecr:GetAuthorizationToken", "", "gets a token of the image registry",
        "The registry asks for it before anything else.",
    ),
    Need(
        "ContainerExecutionRole", "ecr:BatchGetImage", "", "reads the image's manifest",
        "It says which layers there are.",
    ),
    Need(
        "ContainerExecutionRole", "ecr:GetDownloadUrlForLayer", "", "fetches the image's layers",
        "Layers are fetched by signed addresses.",
    ),
    Need(
        "ContainerExecutionRole", "logs:CreateLogStream", "", "opens a log stream",
        "Each task has a stream of its own.",
    ),
    Need(
        "ContainerExecutionRole", "logs:PutLogEvents", "", "writes to its log",
        "The container's output is the gateway's log.",
    ),
    # What the network's flow logs do.
    Need(
        "VpcFlowLogIAMRole", "logs:CreateLogStream", "", "opens a log stream",
        "Each network interface has a stream of its own.",
    ),
    Need("VpcFlowLogIAMRole", "logs:PutLogEvents", "", "writes to its log", "The record of traffic itself."),
    Need(
        "VpcFlowLogIAMRole", "logs:DescribeLogStreams", "", "finds its log stream",
        "It looks whether the stream is there.",
    ),
)  # fmt: skip


def need_of(role: str, action: str, on: object) -> Need | None:
    """Why `role` (a logical id) may do `action`; `on` is its resource and condition. None: nobody says."""
    text = json.dumps(on)
    for need in NEEDS:
        if role.startswith(need.role) and need.action == action and need.on in text:
            return need
    return None
