"""What an environment costs a month, by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capacity.inventory import Inventory
from capacity.plan import Plan
from capacity.prices import Prices
from stacks.settings import Environment

KILOBYTES_PER_GIGABYTE = 1_000_000
DAYS_PER_MONTH = 30
SECONDS_PER_HOUR = 3600
MINUTES_PER_HOUR = 60
OPEN_PER_LOAD_BALANCER_UNIT = 3000
ACCESS_LOG_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much an environment is used: tasks on average, requests and requests being answered."""

    tasks: float
    requests_per_month: float
    open_requests: float


@dataclass(frozen=True, kw_only=True)
class Part:
    """One line of the bill, in euros a month."""

    name: str
    eur: float


def idle_use(environment: Environment) -> Use:
    """The fewest tasks and nobody asking."""
    return Use(tasks=environment.scaling.tasks_minimum, requests_per_month=0, open_requests=0)


def planned_use(plan: Plan) -> Use:
    """What a plan came to, every month like it."""
    per_month = plan.total.mean_requests_per_s * SECONDS_PER_HOUR * plan.hours_per_month
    minutes = plan.run.traffic.minutes
    open_requests = sum(m.requests_per_s * m.duration.mean_ms / 1000 for m in minutes) / len(minutes)
    return Use(tasks=plan.total.mean_tasks, requests_per_month=per_month, open_requests=open_requests)


def parts(environment: Environment, inventory: Inventory, use: Use, prices: Prices) -> Sequence[Part]:
    """Every part of the bill, in the order of the request's way."""
    bill = _Bill(environment=environment, inventory=inventory, use=use, prices=prices)
    return [Part(name=name, eur=eur) for name, eur in bill.lines()]


NETWORK_PARTS = 5
"""The first parts are the network's."""


@dataclass(frozen=True, kw_only=True)
class _Bill:
    environment: Environment
    inventory: Inventory
    use: Use
    prices: Prices

    def lines(self) -> Iterator[tuple[str, float]]:
        yield "NAT gateways and addresses", self._nat_gateways()
        yield "Network Firewall", self._firewall()
        yield "DNS Firewall", self._dns_firewall()
        yield "interface endpoints", self._endpoints()
        yield "flow and firewall logs", self._network_logs()
        yield "load balancer with its log", self._load_balancer()
        yield "web application firewall", self._web_acl()
        yield "Fargate tasks", self._tasks()
        yield "Valkey cache", self._cache()
        yield "registry and flag tables", self._tables()
        yield "keys and secrets", self._keys_and_secrets()
        yield "gateway log", self._gateway_log()
        yield "alarms, dashboards, metrics", self._observation()

    def _hours(self, price: str, count: float) -> float:
        return self.prices.eur(price) * count * self.prices.hours_per_month

    def _gigabytes(self, kilobytes_per_request: float) -> float:
        return self.use.requests_per_month * kilobytes_per_request / KILOBYTES_PER_GIGABYTE

    def _nat_gateways(self) -> float:
        """Hours and gigabytes are not charged where a firewall endpoint is charged for the same ones.

        https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-pricing.html
        """
        charged = max(0, self.inventory.nat_gateways - self.inventory.firewall_endpoints)
        outside = self._gigabytes(self.prices.assumptions.kilobytes_through_nat_per_request)
        data = 0.0 if self.inventory.firewall_endpoints else self.prices.eur("nat_gateway_gigabyte") * outside
        addresses = self._hours("public_address_hour", self.inventory.public_addresses)
        return self._hours("nat_gateway_hour", charged) + addresses + data

    def _firewall(self) -> float:
        if not self.inventory.firewall_endpoints:
            return 0.0
        outside = self._gigabytes(self.prices.assumptions.kilobytes_through_nat_per_request)
        hours = self._hours("firewall_endpoint_hour", self.inventory.firewall_endpoints)
        return hours + self.prices.eur("firewall_gigabyte") * outside

    def _dns_firewall(self) -> float:
        minutes = MINUTES_PER_HOUR * self.prices.hours_per_month * self.use.tasks
        millions = minutes * self.prices.assumptions.dns_queries_per_task_per_minute / 1e6
        return (
            self.prices.eur("dns_firewall_million_queries") * millions * min(1, self.inventory.dns_firewalls)
        )

    def _endpoints(self) -> float:
        hours = self._hours("interface_endpoint_zone_hour", self.inventory.interface_endpoint_zones)
        through = self._gigabytes(self.prices.assumptions.kilobytes_through_endpoints_per_request)
        return hours + self.prices.eur("interface_endpoint_gigabyte") * through

    def _logged(self, kilobytes_per_request: float, retention_days: int) -> float:
        gigabytes = self._gigabytes(kilobytes_per_request)
        kept = gigabytes * retention_days / DAYS_PER_MONTH
        return (
            self.prices.eur("log_gigabyte_ingested") * gigabytes
            + self.prices.eur("log_gigabyte_month") * kept
        )

    def _network_logs(self) -> float:
        assumed = self.prices.assumptions
        firewall = assumed.kilobytes_of_firewall_log_per_request if self.inventory.firewall_endpoints else 0.0
        return self._logged(
            assumed.kilobytes_of_flow_log_per_request + firewall,
            self.environment.network.flow_log_retention_days,
        )

    def _load_balancer(self) -> float:
        if not self.inventory.load_balancers:
            return 0.0
        assumed = self.prices.assumptions
        hours = self._hours("load_balancer_hour", self.inventory.load_balancers)
        gigabytes = self._gigabytes(assumed.kilobytes_through_load_balancer_per_request)
        units = max(
            gigabytes / self.prices.hours_per_month, self.use.open_requests / OPEN_PER_LOAD_BALANCER_UNIT
        )
        kept = self._gigabytes(assumed.kilobytes_of_access_log_per_request) * ACCESS_LOG_DAYS / DAYS_PER_MONTH
        return (
            hours
            + self._hours("load_balancer_unit_hour", units)
            + self.prices.eur("object_gigabyte_month") * kept
        )

    def _web_acl(self) -> float:
        acls, millions = self.inventory.web_acls, self.use.requests_per_month / 1e6
        return (
            self.prices.eur("web_acl_month") * acls
            + self.prices.eur("web_acl_rule_month") * self.inventory.web_acl_rules
            + self.prices.eur("web_acl_million_requests") * millions * min(1, acls)
        )

    def _tasks(self) -> float:
        scaling = self.environment.scaling
        hour = self.prices.task_hour_eur(
            self.environment.gateway.architecture,
            cpu_units=scaling.task_cpu_units,
            memory_mib=scaling.task_memory_mib,
        )
        return hour * self.use.tasks * self.prices.hours_per_month

    def _cache(self) -> float:
        assumed = self.prices.assumptions
        gigabytes = assumed.minimum_cache_gigabytes * self.inventory.caches
        millions = self.use.requests_per_month * assumed.cache_units_per_request / 1e6
        return self._hours("valkey_gigabyte_hour", gigabytes) + self.prices.eur(
            "valkey_million_units"
        ) * millions * min(1, self.inventory.caches)

    def _tables(self) -> float:
        minutes = MINUTES_PER_HOUR * self.prices.hours_per_month * self.use.tasks
        millions = minutes * self.prices.assumptions.table_reads_per_task_per_minute / 1e6
        return self.prices.eur("table_million_reads") * millions

    def _keys_and_secrets(self) -> float:
        keys = self.prices.eur("key_month") * self.inventory.keys
        return keys + self.prices.eur("secret_month") * self.inventory.secrets

    def _gateway_log(self) -> float:
        kilobytes = self.prices.assumptions.kilobytes_of_gateway_log_per_request
        return self._logged(kilobytes, self.environment.gateway.log_retention_days)

    def _observation(self) -> float:
        assumed = self.prices.assumptions
        insights = (
            assumed.container_insights_metrics + self.use.tasks * assumed.container_insights_metrics_per_task
        )
        return (
            self.prices.eur("alarm_metric_month") * self.inventory.alarm_metrics
            + self.prices.eur("composite_alarm_month") * self.inventory.composite_alarms
            + self.prices.eur("dashboard_month") * self.inventory.dashboards
            + self.prices.eur("container_insights_metric_month")
            * insights
            * self.inventory.clusters_with_insights
        )
