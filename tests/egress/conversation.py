"""Flows as packets: who says what, and what the firewall must do with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

CLIENT, SERVER = "10.30.16.20", "198.51.100.7"
CLIENT_6, SERVER_6 = "2001:db8:1::20", "2001:db8:2::7"


class Verdict(StrEnum):
    """What becomes of a flow."""

    PASS = "pass"
    DROP = "drop"


@dataclass(frozen=True)
class Segment:
    """One packet of a flow; `content` is how many bytes it carries for an application."""

    packet: Packet
    from_client: bool
    content: int


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow and its expected fate: the verdict, the rule that gives it, and bytes that may leak before."""

    name: str
    segments: Sequence[Segment]
    verdict: Verdict
    reason: str
    leak_bytes: int = 0


class _Ports:
    """Each flow has a client port of its own, which tells the flows of one capture apart."""

    def __init__(self) -> None:
        self.last = 20_000

    def next(self) -> int:
        self.last += 1
        return self.last


_PORTS = _Ports()


def tcp(
    *client_says: bytes,
    port: int = 443,
    client: str = CLIENT,
    server: str = SERVER,
    reordered: bool = False,
    repeated: bool = False,
) -> list[Segment]:
    """A handshake, what the client says (a segment each), an answer, and one more word of the client.

    `reordered` sends the second segment, the first and, unacknowledged, the second again; `repeated` sends
    the first one twice.
    """
    version_6 = ":" in client
    client_port = _PORTS.next()

    def segment(from_client: bool, flags: str, sequence: int, acknowledged: int, content: bytes) -> Segment:
        source, destination = (client, server) if from_client else (server, client)
        ports = (client_port, port) if from_client else (port, client_port)
        network = (IPv6 if version_6 else IP)(src=source, dst=destination)
        transport = TCP(sport=ports[0], dport=ports[1], flags=flags, seq=sequence, ack=acknowledged)
        return Segment(_frame(network / transport, content), from_client, len(content))

    ours, theirs = 1000, 5000
    opening = [
        segment(True, "S", ours, 0, b""),
        segment(False, "SA", theirs, ours + 1, b""),
        segment(True, "A", ours + 1, theirs + 1, b""),
    ]
    said: list[Segment] = []
    position = ours + 1
    for content in client_says:
        said.append(segment(True, "PA", position, theirs + 1, content))
        position += len(content)
    if reordered:
        said[:2] = [said[1], said[0], said[1]]
    if repeated:
        said.insert(1, said[0])
    answer = b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"
    return [
        *opening,
        *said,
        segment(False, "A", theirs + 1, position, b""),
        segment(False, "PA", theirs + 1, position, answer),
        segment(True, "PA", position, theirs + 1 + len(answer), b"\x17\x03\x03\x00\x10" + bytes(16)),
    ]


def opening_from(client: str, server: str, port: int) -> list[Segment]:
    """A first packet of TCP and nothing else."""
    packet = IP(src=client, dst=server) / TCP(sport=_PORTS.next(), dport=port, flags="S", seq=1)
    return [Segment(_frame(packet, b""), True, 0)]


def udp(content: bytes, port: int, client: str = CLIENT, server: str = SERVER) -> list[Segment]:
    """A datagram, an answer, and another datagram."""
    client_port = _PORTS.next()
    network = IPv6 if ":" in client else IP
    out = network(src=client, dst=server) / UDP(sport=client_port, dport=port)
    back = network(src=server, dst=client) / UDP(sport=port, dport=client_port)
    return [
        Segment(_frame(out, content), True, len(content)),
        Segment(_frame(back, content), False, len(content)),
        Segment(_frame(out, content), True, len(content)),
    ]


def ping(client: str = CLIENT, server: str = SERVER) -> list[Segment]:
    """An echo request with content."""
    packet = IP(src=client, dst=server) / ICMP(id=_PORTS.next())
    return [Segment(_frame(packet, b"content"), True, 7)]


def of_protocol(number: int) -> list[Segment]:
    """A packet of another protocol over IP."""
    packet = IP(src=CLIENT, dst=f"198.51.100.{number % 250}", proto=number)
    return [Segment(_frame(packet, bytes(40)), True, 40)]


def pieces(content: bytes, *cuts: int) -> Iterable[bytes]:
    """`content` cut at these positions."""
    edges = [0, *cuts, len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


def _frame(packet: Packet, content: bytes) -> Packet:
    framed = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet
    return framed / Raw(content) if content else framed
