"""EC2 types the emulator's API knows and its CloudFormation engine does not.

Attributes and return values: the AWS CloudFormation template reference of each type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

from local.emulator.handlers import Create, Properties, Provisioned, Update, handler
from local.emulator.service_calls import call


def _tags(resource_type: str, properties: Properties) -> list[dict[str, Any]] | None:
    tags = properties.get("Tags")
    return [{"ResourceType": resource_type, "Tags": list(tags)}] if tags else None


def _create_address(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    address = call("ec2", "AllocateAddress", Domain="vpc", TagSpecifications=_tags("elastic-ip", properties))
    attributes = {"AllocationId": address["AllocationId"], "PublicIp": address["PublicIp"]}
    return address["PublicIp"], attributes


def _delete_address(physical_id: str, _properties: Properties) -> None:
    for address in call("ec2", "DescribeAddresses")["Addresses"]:
        if address["PublicIp"] == physical_id:
            call("ec2", "ReleaseAddress", AllocationId=address["AllocationId"])


def _create_nat_gateway(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    gateway = call(
        "ec2",
        "CreateNatGateway",
        SubnetId=properties["SubnetId"],
        AllocationId=properties.get("AllocationId"),
        ConnectivityType=properties.get("ConnectivityType"),
        TagSpecifications=_tags("natgateway", properties),
    )["NatGateway"]
    return gateway["NatGatewayId"], {"NatGatewayId": gateway["NatGatewayId"]}


def _delete_nat_gateway(physical_id: str, _properties: Properties) -> None:
    call("ec2", "DeleteNatGateway", NatGatewayId=physical_id)


def _create_flow_log(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    flow_log_id = call(
        "ec2",
        "CreateFlowLogs",
        ResourceIds=[properties["ResourceId"]],
        ResourceType=properties["ResourceType"],
        TrafficType=properties.get("TrafficType"),
        LogDestinationType=properties.get("LogDestinationType"),
        LogDestination=properties.get("LogDestination"),
        LogGroupName=properties.get("LogGroupName"),
        TagSpecifications=_tags("vpc-flow-log", properties),
    )["FlowLogIds"][0]
    return flow_log_id, {"Id": flow_log_id}


def _delete_flow_log(physical_id: str, _properties: Properties) -> None:
    call("ec2", "DeleteFlowLogs", FlowLogIds=[physical_id])


def _permission(properties: Properties) -> dict[str, Any]:
    """A template's rule as the API's IpPermission."""
    described = {"Description": properties["Description"]} if properties.get("Description") else {}
    group = properties.get("SourceSecurityGroupId") or properties.get("DestinationSecurityGroupId")
    prefix_list = properties.get("SourcePrefixListId") or properties.get("DestinationPrefixListId")
    permission: dict[str, Any] = {"IpProtocol": str(properties["IpProtocol"])}
    permission |= {port: int(properties[port]) for port in ("FromPort", "ToPort") if port in properties}
    if properties.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": properties["CidrIp"]} | described]
    if properties.get("CidrIpv6"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": properties["CidrIpv6"]} | described]
    if group:
        permission["UserIdGroupPairs"] = [{"GroupId": group} | described]
    if prefix_list:
        permission["PrefixListIds"] = [{"PrefixListId": prefix_list} | described]
    return permission


def _rule_handler(direction: str) -> dict[str, object]:
    """A security group rule of its own; `direction` is Ingress or Egress."""

    def create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
        rules = call(
            "ec2",
            f"AuthorizeSecurityGroup{direction}",
            GroupId=properties["GroupId"],
            IpPermissions=[_permission(properties)],
        )["SecurityGroupRules"]
        rule_id = rules[0]["SecurityGroupRuleId"]
        return rule_id, {"Id": rule_id}

    def delete(physical_id: str, properties: Properties) -> None:
        known = call("ec2", "DescribeSecurityGroups")["SecurityGroups"]
        if properties["GroupId"] in {group["GroupId"] for group in known}:
            call(
                "ec2",
                f"RevokeSecurityGroup{direction}",
                GroupId=properties["GroupId"],
                SecurityGroupRuleIds=[physical_id],
            )

    return handler(create, delete)


def _restrict_default_group(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    """What the CDK's own provider function does; it needs the JavaScript SDK that only Lambda ships."""
    group_id = properties["DefaultSecurityGroupId"]
    group = call("ec2", "DescribeSecurityGroups", GroupIds=[group_id])["SecurityGroups"][0]
    if group["IpPermissions"]:
        call("ec2", "RevokeSecurityGroupIngress", GroupId=group_id, IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        call("ec2", "RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
    return f"default-{group_id}", {}


def _leave_default_group(_physical_id: str, _properties: Properties) -> None:
    """The default group goes with its VPC."""


def _with_cidr_attributes(native: dict[str, Any]) -> dict[str, Any]:
    """The native VPC handler, whose attributes lack the address block."""

    def completed(provision: Callable[..., Provisioned]) -> Callable[..., Provisioned]:
        def provision_completely(*arguments: Any) -> Provisioned:  # noqa: ANN401  (passed through)
            vpc_id, attributes = provision(*arguments)
            vpc = call("ec2", "DescribeVpcs", VpcIds=[vpc_id])["Vpcs"][0]
            return vpc_id, attributes | {
                "CidrBlock": vpc["CidrBlock"],
                "CidrBlockAssociations": [],
                "Ipv6CidrBlocks": [],
            }

        return provision_completely

    create: Create = completed(native["create"])
    update: Update = completed(native["update"])
    return native | {"create": create, "update": update}


def handlers() -> dict[str, dict[str, Any]]:
    """Handlers by resource type."""
    return {
        "AWS::EC2::EIP": handler(_create_address, _delete_address),
        "AWS::EC2::NatGateway": handler(_create_nat_gateway, _delete_nat_gateway),
        "AWS::EC2::FlowLog": handler(_create_flow_log, _delete_flow_log),
        "AWS::EC2::SecurityGroupIngress": _rule_handler("Ingress"),
        "AWS::EC2::SecurityGroupEgress": _rule_handler("Egress"),
        "Custom::VpcRestrictDefaultSG": handler(_restrict_default_group, _leave_default_group),
        "AWS::EC2::VPC": _with_cidr_attributes(provisioners._RESOURCE_HANDLERS["AWS::EC2::VPC"]),
    }
