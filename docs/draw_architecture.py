"""Draws `docs/architecture.svg` from the synthesised stacks: `make picture`.

Every number and name in the picture is read from the templates, so it cannot show what is not
deployed. Usage: `python docs/draw_architecture.py <assembly directory>` prints the SVG.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

WIDTH = 1000
MARGIN = 24
INK, MUTED, LINE, PAPER = "#16202c", "#55606e", "#8a96a3", "#ffffff"
FILL_PATH, FILL_STACK, FILL_FRAME = "#e8f1fb", "#f4f6f8", "#fafcff"

# What a reader wants counted, in the order it is shown; everything else is wiring.
RESOURCE_NAMES = {
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::NatGateway": "NAT gateway",
    "AWS::EC2::VPCEndpoint": "VPC endpoint",
    "AWS::EC2::FlowLog": "flow log",
    "AWS::NetworkFirewall::Firewall": "network firewall",
    "AWS::Route53Resolver::FirewallRuleGroup": "DNS firewall",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::KMS::Key": "KMS key",
    "AWS::DynamoDB::GlobalTable": "DynamoDB table",
    "AWS::Lambda::Function": "Lambda function",
    "AWS::Bedrock::Guardrail": "Bedrock guardrail",
    "AWS::ElastiCache::ServerlessCache": "Valkey cache",
    "AWS::ElastiCache::User": "cache user",
    "AWS::ECS::Service": "Fargate service",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "load balancer",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "scaling policy",
    "AWS::S3::Bucket": "log bucket",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::SNS::Topic": "alarm topic",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack:
    """One synthesised stack: its name, the stacks it needs, and its resources by logical id."""

    name: str
    needs: tuple[str, ...]
    resources: dict[str, dict[str, Any]]

    def of_type(self, resource_type: str) -> list[dict[str, Any]]:
        """The properties of every resource of one CloudFormation type."""
        return [
            resource.get("Properties", {})
            for resource in self.resources.values()
            if resource["Type"] == resource_type
        ]

    @property
    def contents(self) -> list[str]:
        """What the stack holds, counted, in a reader's words."""
        counts = collections.Counter(resource["Type"] for resource in self.resources.values())
        return [
            f"{counts[kind]} {singular if counts[kind] == 1 else _plural(singular)}"
            for kind, singular in RESOURCE_NAMES.items()
            if counts[kind]
        ]


def _plural(noun: str) -> str:
    return f"{noun.removesuffix('y')}ies" if noun.endswith("cy") else f"{noun}s"


def read_stacks(assembly: Path) -> list[Stack]:
    """The stacks of a cloud assembly, in deploy order."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    stacks = {key: value for key, value in artifacts.items() if value["type"] == "aws:cloudformation:stack"}
    order: list[str] = []

    def visit(name: str) -> None:
        for needed in stacks[name].get("dependencies", ()):
            if needed in stacks:
                visit(needed)
        if name not in order:
            order.append(name)

    for name in stacks:
        visit(name)
    return [
        Stack(
            name=name,
            needs=tuple(needed for needed in order if needed in stacks[name].get("dependencies", ())),
            resources=json.loads((assembly / stacks[name]["properties"]["templateFile"]).read_text())[
                "Resources"
            ],
        )
        for name in order
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestPath:
    """What a request passes, as the templates say."""

    listener: str
    tasks: str
    zones: int
    bedrock: tuple[str, ...]
    hosts: tuple[str, ...]


def read_request_path(stacks: list[Stack]) -> RequestPath:
    """Read the request path off the Gateway, Network and ModelRegistry templates."""
    by_name = {stack.name: stack for stack in stacks}
    gateway, network = by_name["Gateway"], by_name["Network"]
    (target,) = gateway.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    (task,) = gateway.of_type("AWS::ECS::TaskDefinition")
    variables = {item["Name"]: item["Value"] for item in task["ContainerDefinitions"][0]["Environment"]}
    protocols = {
        listener["Protocol"] for listener in gateway.of_type("AWS::ElasticLoadBalancingV2::Listener")
    }
    profiles = sorted(set(_inference_profiles(gateway)))
    return RequestPath(
        listener=" and ".join(sorted(protocols)),
        tasks=f"{target['MinCapacity']} to {target['MaxCapacity']} Fargate tasks",
        zones=len({subnet["AvailabilityZone"] for subnet in network.of_type("AWS::EC2::Subnet")}),
        bedrock=tuple(profiles),
        hosts=tuple(host for host in variables.get("PROVIDER_HOSTS", "").split(",") if host),
    )


def _inference_profiles(gateway: Stack) -> Iterator[str]:
    text = json.dumps(gateway.of_type("AWS::IAM::Policy"))
    for chunk in text.split("inference-profile/")[1:]:
        yield chunk.split('"')[0].split(".")[1]


class Canvas:
    """Collects SVG elements; all coordinates in pixels."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: str, dashed: bool = False) -> None:
        """A rounded rectangle."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.elements.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" '
            f'fill="{fill}" stroke="{LINE}"{dash}/>'
        )

    def text(
        self, x: float, y: float, content: str, size: int = 13, colour: str = INK, bold: bool = False
    ) -> None:
        """One line of text, its baseline starting at (x, y)."""
        weight = ' font-weight="600"' if bold else ""
        self.elements.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{weight}>{escape(content)}</text>'
        )

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A straight arrow."""
        self.elements.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{INK}" stroke-width="1.5" '
            'marker-end="url(#head)"/>'
        )

    def labelled(
        self, x: float, y: float, width: float, height: float, fill: str, title: str, *lines: str
    ) -> None:
        """A box with a bold title and muted lines below it."""
        self.box(x, y, width, height, fill)
        self.text(x + 12, y + 23, title, 14, bold=True)
        for index, line in enumerate(lines):
            self.text(x + 12, y + 42 + 17 * index, line, 12, MUTED)

    def render(self, height: float) -> str:
        """The whole document."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" '
            'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif">\n'
            "<title>The request path and the stacks that build it</title>\n"
            '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
            f'<path d="M0,0 L9,4 L0,8 z" fill="{INK}"/></marker></defs>\n'
            f'<rect width="{WIDTH}" height="{height:g}" fill="{PAPER}"/>\n'
        )
        return head + "\n".join(self.elements) + "\n</svg>\n"


def draw_request_path(canvas: Canvas, path: RequestPath, top: float) -> float:
    """Draw applications → load balancer → gateway → providers; return the lower edge."""
    providers = [("Amazon Bedrock", ("EU profiles, by VPC endpoint", *_families(path.bedrock)))]
    if path.hosts:
        providers.append(("Outside AWS", path.hosts))
    heights = [54 + 17 * (len(lines) - 1) for _, lines in providers]
    total = sum(heights) + 12 * (len(heights) - 1)
    frame_height = max(total, 130.0)
    middle = top + frame_height / 2
    canvas.labelled(MARGIN, middle - 32, 150, 64, FILL_PATH, "Applications", "any OpenAI SDK")
    canvas.box(210, top, 480, frame_height, FILL_FRAME, dashed=True)
    canvas.text(222, top + 20, f"Private VPC, {path.zones} zones", 12, MUTED)
    canvas.labelled(236, middle - 32, 180, 64, FILL_PATH, "Load balancer", f"internal, {path.listener}")
    canvas.labelled(470, middle - 42, 200, 84, FILL_PATH, "Gateway", path.tasks, "decide, call, fail over")
    canvas.arrow(MARGIN + 150, middle, 236, middle)
    canvas.arrow(416, middle, 470, middle)
    y = top + (frame_height - total) / 2
    for (title, lines), height in zip(providers, heights, strict=True):
        canvas.labelled(740, y, WIDTH - MARGIN - 740, height, FILL_PATH, title, *lines)
        canvas.arrow(670, middle, 740, y + height / 2)
        y += height + 12
    return top + frame_height


def _families(profiles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({{"anthropic": "Claude", "meta": "Llama"}.get(name, name) for name in profiles}))


def draw_stacks(canvas: Canvas, stacks: list[Stack], top: float) -> float:
    """Draw every stack in deploy order with its contents; return the lower edge."""
    columns, gap = 4, 14.0
    width = (WIDTH - 2 * MARGIN - gap * (columns - 1)) / columns
    height = 66.0 + 17 * max(len(stack.contents) for stack in stacks)
    for index, stack in enumerate(stacks):
        row, column = divmod(index, columns)
        x, y = MARGIN + column * (width + gap), top + row * (height + gap)
        canvas.labelled(x, y, width, height, FILL_STACK, f"{index + 1}  {stack.name}", *stack.contents)
        if stack.needs:
            canvas.text(x + 12, y + height - 12, "needs " + ", ".join(stack.needs), 10, MUTED)
    rows = -(-len(stacks) // columns)
    return top + rows * height + (rows - 1) * gap


def draw(assembly: Path) -> str:
    """The picture of one synthesised environment, as SVG text."""
    stacks = read_stacks(assembly)
    canvas = Canvas()
    canvas.text(MARGIN, 34, "A request", 15, bold=True)
    lower = draw_request_path(canvas, read_request_path(stacks), 50)
    canvas.text(MARGIN, lower + 40, "The stacks, in deploy order", 15, bold=True)
    return canvas.render(draw_stacks(canvas, stacks, lower + 56) + MARGIN)


if __name__ == "__main__":
    sys.stdout.write(draw(Path(sys.argv[1])))
