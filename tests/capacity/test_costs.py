"""The bill adds up what the templates hold, at the declared prices."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from capacity.cost_table import Costed, describe_costs
from capacity.costs import Use, idle_use, parts, planned_use
from capacity.errors import CapacityError
from capacity.inventory import Inventory, count
from capacity.plan_command import PlanRequest, make_plans
from capacity.prices import Prices, read_prices
from capacity.sections import read_environment
from capacity.throughput import read_throughput
from stacks.settings import Architecture


def resource(kind: str, **properties: object) -> Mapping[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


INSIGHTS = [{"Name": "containerInsights", "Value": "enhanced"}]
RATIO = [{"Expression": "a/b"}, {"MetricStat": {}}, {"MetricStat": {}}]
RESOURCES = [
    *[resource("EC2::NatGateway")] * 3,
    *[resource("EC2::EIP")] * 3,
    resource("NetworkFirewall::Firewall", SubnetMappings=[{}, {}, {}]),
    resource("EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds=["a", "b", "c"]),
    resource("EC2::VPCEndpoint", VpcEndpointType="Interface", SubnetIds=["a", "b"]),
    resource("EC2::VPCEndpoint", VpcEndpointType="Gateway"),
    resource("CloudWatch::Alarm", MetricName="x"),
    resource("CloudWatch::Alarm", Metrics=RATIO),
    resource("ApplicationAutoScaling::ScalingPolicy", PolicyType="TargetTrackingScaling"),
    resource("WAFv2::WebACL", Rules=[{}, {}]),
    resource("ECS::Cluster", ClusterSettings=INSIGHTS),
    resource("ElasticLoadBalancingV2::LoadBalancer"),
    resource("ElastiCache::ServerlessCache"),
    resource("KMS::Key"),
    resource("SecretsManager::Secret"),
    resource("SNS::Topic"),
]


@pytest.fixture(scope="module")
def prices() -> Prices:
    return read_prices()


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return count(RESOURCES)


def bill(inventory: Inventory, use: Use, prices: Prices) -> dict[str, float]:
    return {part.name: part.eur for part in parts(read_environment("production"), inventory, use, prices)}


REST = Use(tasks=3, requests_per_month=0, open_requests=0)
BUSY = Use(tasks=6, requests_per_month=100_000_000, open_requests=300)


def test_what_is_paid_by_existing_is_counted(inventory: Inventory) -> None:
    assert dataclasses.asdict(inventory) == {
        "nat_gateways": 3,
        "public_addresses": 3,
        "firewall_endpoints": 3,
        "dns_firewalls": 0,
        "interface_endpoint_zones": 5,
        "load_balancers": 1,
        "web_acls": 1,
        "web_acl_rules": 2,
        "caches": 1,
        "keys": 1,
        "secrets": 1,
        "alarm_metrics": 1 + 2 + 2,
        "composite_alarms": 0,
        "dashboards": 0,
        "clusters_with_insights": 1,
    }


def test_a_part_is_its_count_times_hours_times_price(inventory: Inventory, prices: Prices) -> None:
    at_rest = bill(inventory, REST, prices)
    eur = prices.currency.eur_per_usd
    assert at_rest["Network Firewall"] == pytest.approx(3 * 730 * 0.395 * eur)
    assert at_rest["interface endpoints"] == pytest.approx(5 * 730 * 0.012 * eur)
    assert at_rest["Fargate tasks"] == pytest.approx(3 * 730 * (0.03725 + 2 * 0.00409) * eur)
    assert at_rest["keys and secrets"] == pytest.approx(1.4 * eur)


def test_a_nat_gateway_behind_a_firewall_endpoint_costs_its_address_only(
    inventory: Inventory, prices: Prices
) -> None:
    behind = bill(inventory, BUSY, prices)["NAT gateways and addresses"]
    open_way = bill(dataclasses.replace(inventory, firewall_endpoints=0), BUSY, prices)[
        "NAT gateways and addresses"
    ]
    eur = prices.currency.eur_per_usd
    gigabytes = 100 * prices.assumptions.kilobytes_through_nat_per_request
    assert behind == pytest.approx(3 * 730 * 0.005 * eur)
    assert open_way == pytest.approx(behind + (3 * 730 * 0.052 + gigabytes * 0.052) * eur)


def test_use_costs_more_than_rest_in_every_part_that_is_used(inventory: Inventory, prices: Prices) -> None:
    at_rest, busy = bill(inventory, REST, prices), bill(inventory, BUSY, prices)
    assert all(busy[name] >= at_rest[name] for name in busy)
    grows = {name for name in busy if busy[name] > at_rest[name]}
    assert {"Network Firewall", "interface endpoints", "load balancer with its log", "gateway log"} <= grows


def test_what_an_environment_does_not_have_costs_nothing(prices: Prices) -> None:
    nothing = bill(count([]), REST, prices)
    assert {name for name, eur in nothing.items() if eur} == {"Fargate tasks", "registry and flag tables"}


def test_a_price_that_is_not_declared_is_named(prices: Prices) -> None:
    with pytest.raises(CapacityError, match=r"prices\.toml: usd\.moon_hour"):
        prices.eur("moon_hour")


def test_every_declared_price_is_used_and_dated(inventory: Inventory, prices: Prices) -> None:
    used: set[str] = set()

    class Recording(Prices):
        def eur(self, name: str) -> float:
            used.add(name)
            return super().eur(name)

    recording = Recording.model_validate(prices.model_dump())
    for have in (inventory, dataclasses.replace(inventory, firewall_endpoints=0)):
        parts(read_environment("production"), have, BUSY, recording)
    recording.task_hour_eur(Architecture.ARM64, cpu_units=1024, memory_mib=2048)
    recording.task_hour_eur(Architecture.X86_64, cpu_units=1024, memory_mib=2048)
    assert set(prices.usd) - used == set()
    assert prices.as_of.year >= 2026


def test_planned_use_is_the_plans_and_rest_is_the_minimum() -> None:
    environment = read_environment("staging")
    plan = make_plans(PlanRequest(environment="staging"), read_throughput())[0]
    planned, rest = planned_use(plan), idle_use(environment)
    assert rest.tasks == environment.scaling.tasks_minimum
    assert planned.tasks == pytest.approx(plan.total.mean_tasks)
    assert planned.requests_per_month == pytest.approx(plan.total.requests / (7 * 24) * 730, rel=1e-6)


def test_the_profiles_cost_less_from_one_to_the_next(inventory: Inventory, prices: Prices) -> None:
    costed = Costed(environment=read_environment("production"), inventory=inventory, idle=REST, planned=BUSY)
    text = describe_costs([costed], prices)
    rows = [line for line in text.splitlines() if "firewall, " in line]
    at_rest = [float(row.split("|")[5]) for row in rows]
    assert len(rows) == 3
    assert at_rest[0] > at_rest[1] > at_rest[2]
    assert max(map(len, text.splitlines())) <= 100
