"""The flows that the firewall is judged by, each with the fate it must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scapy.layers.dns import DNS, DNSQR

from tests.egress.client_hello import (
    ENCRYPTED_CLIENT_HELLO,
    GREASE,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    application_data,
    encrypted_client_hello,
    handshake,
    hello,
    post_quantum_key_share,
    record,
    server_name,
)
from tests.egress.conversation import (
    CLIENT_6,
    SERVER,
    SERVER_6,
    Flow,
    Segment,
    Verdict,
    of_protocol,
    opening_from,
    pieces,
    ping,
    tcp,
    udp,
)

TOKENS = "oauth2.googleapis.com"
KEYS = "iam.googleapis.com"
VERTEX = "aiplatform.eu.rep.googleapis.com"
LLAMA = "llama.example.eu"
SUFFIX = ".models.example.eu"

NOT_ALLOWED = "TLS to a name that is not allowed"
NAMELESS = "TLS without a name"
NO_TLS = "No TLS on 443"
HTTP_ON_443 = "Plain HTTP on 443"
DEFAULT = "aws:drop_established"
PLAIN_HTTP = "Plain HTTP"
OTHER_PORT = "Port other than 443"
OTHER_PROTOCOL = "Protocol other than TCP"
DNS_ELSEWHERE = "DNS past the VPC's resolver"
FROM_OUTSIDE = "Connection from outside"


def _passes(name: str, segments: Sequence[Segment], host: str) -> Flow:
    return Flow(name=name, segments=segments, verdict=Verdict.PASS, reason=f"TLS to {host}")


def _drops(name: str, segments: Sequence[Segment], reason: str, leak_bytes: int = 0) -> Flow:
    return Flow(name=name, segments=segments, verdict=Verdict.DROP, reason=reason, leak_bytes=leak_bytes)


def all_flows() -> list[Flow]:
    """Every flow, named; no two have the same name."""
    flows = [
        *_allowed_names(),
        *_hellos_in_pieces(),
        *_other_names(),
        *_made_up_names(),
        *_nameless(),
        *_no_tls(),
        *_other_ports_and_protocols(),
        *_name_services(),
        *_from_outside(),
    ]
    assert len({flow.name for flow in flows}) == len(flows)
    return flows


def _allowed_names() -> Iterator[Flow]:
    for host in (TOKENS, KEYS, VERTEX, LLAMA):
        yield _passes(f"TLS 1.3 to {host}", tcp(hello(host)), host)
    yield _passes("name in odd case", tcp(hello("OAuth2.GoogleAPIs.COM")), TOKENS)
    yield _passes("one name below the suffix", tcp(hello(f"eu-1{SUFFIX}")), SUFFIX)
    yield _passes("names deep below the suffix", tcp(hello(f"a.b.c{SUFFIX}")), SUFFIX)
    yield _passes("the suffix itself", tcp(hello(SUFFIX.removeprefix("."))), SUFFIX)
    yield _passes("suffix in odd case", tcp(hello("X.Models.EXAMPLE.eu")), SUFFIX)
    yield _passes("TLS 1.2 hello", tcp(hello(TOKENS, version=TLS_1_2)), TOKENS)
    yield _passes("TLS 1.1 hello", tcp(hello(TOKENS, version=TLS_1_1)), TOKENS)
    yield _passes("TLS 1.0 hello", tcp(hello(TOKENS, version=TLS_1_0)), TOKENS)
    yield _passes("hello with GREASE", tcp(hello(TOKENS, more=[(GREASE, b"\0")])), TOKENS)
    yield _passes(
        "allowed name with a GREASE ECH", tcp(hello(TOKENS, more=[encrypted_client_hello()])), TOKENS
    )
    yield _passes("hello and content in one segment", tcp(hello(TOKENS) + application_data()), TOKENS)


def _hellos_in_pieces() -> Iterator[Flow]:
    whole = hello(TOKENS)
    middle = whole.index(b"googleapis")
    yield _passes("name split over two segments", tcp(*pieces(whole, middle)), TOKENS)
    yield _passes("name split over four segments", tcp(*pieces(whole, 40, middle, middle + 4)), TOKENS)
    yield _passes("name split, segments out of order", tcp(*pieces(whole, middle), reordered=True), TOKENS)
    yield _passes("hello sent twice", tcp(whole, repeated=True), TOKENS)
    yield _passes("first piece sent twice", tcp(*pieces(whole, middle), repeated=True), TOKENS)
    large = hello(TOKENS, more=[post_quantum_key_share(), (21, bytes(400))])
    yield _passes("post-quantum hello in two segments", tcp(*pieces(large, 1412)), TOKENS)
    late = record(handshake([post_quantum_key_share(), (21, bytes(400)), server_name(TOKENS)]))
    yield _passes("post-quantum hello, name in the second segment", tcp(*pieces(late, 1412)), TOKENS)
    message = handshake([server_name(TOKENS)])
    yield _passes("hello split over two records", tcp(record(message[:60]) + record(message[60:])), TOKENS)
    evil = hello("oauth2.googleapis.com.evil.net")
    yield _drops("denied name split over two segments", tcp(*pieces(evil, 90)), NOT_ALLOWED, 90)
    yield _drops(
        "denied name split behind the allowed part",
        tcp(*pieces(evil, evil.index(b".evil"))),
        NOT_ALLOWED,
        evil.index(b".evil"),
    )
    endless = record(b"\x01\x00\x3f\xff" + bytes(12_000))
    yield _drops("hello that never ends", tcp(*pieces(endless, *range(1000, 12_000, 1000))), DEFAULT, 4000)


def _other_names() -> Iterator[Flow]:
    for name, why in (
        ("oauth2.googleapis.com.evil.net", "allowed name as a prefix"),
        ("eviloauth2.googleapis.com", "allowed name as the end of a label"),
        ("evil.oauth2.googleapis.com", "a name below an exact one"),
        ("googleapis.com", "parent of an allowed name"),
        ("storage.googleapis.com", "sibling of an allowed name"),
        ("googleapis.com.evil.net", "parent as a prefix"),
        ("evilgoogleapis.com", "parent as the end of a label"),
        ("oauth2-googleapis.com", "dot replaced by a hyphen"),
        ("oauth2xgoogleapis.com", "dot replaced by a letter"),
        ("aiplatform.googleapis.com", "the same provider outside the EU"),
        ("us-central1-aiplatform.googleapis.com", "a region of the provider outside the EU"),
        ("evilmodels.example.eu", "suffix as the end of a label"),
        ("x.models.example.eu.evil.net", "suffix in the middle"),
        ("models.example.com", "suffix in another zone"),
        ("example.eu", "parent of the suffix"),
        ("oauth2.googleapis.com.", "allowed name with a trailing dot, which RFC 6066 forbids"),
        ("eu-1.models.example.eu.", "name below the suffix with a trailing dot"),
        ("evil.net\0oauth2.googleapis.com", "NUL before the allowed name"),
        (" oauth2.googleapis.com", "blank before the name"),
        ("oauth2.googleapis.com ", "blank behind the name"),
        ("xn--auth2-nzf.googleapis.com", "homograph in punycode"),
        ("198.51.100.7", "an address as the name"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "an AWS service past its endpoint"),
        ("bucket.s3.eu-central-1.amazonaws.com", "somebody's bucket past the endpoint"),
    ):
        yield _drops(why, tcp(hello(name)), NOT_ALLOWED)
    yield _drops(
        "encrypted name behind another", tcp(hello("cloudflare-ech.com", more=[encrypted_client_hello()])),
        NOT_ALLOWED,
    )  # fmt: skip
    yield _drops("two names, the allowed one second", tcp(hello("evil.net", TOKENS)), NOT_ALLOWED)


def _made_up_names() -> Iterator[Flow]:
    """What judging by name cannot see: a client that lies. DNS Firewall gives it no other address."""
    yield _passes("allowed name, somebody else's server", tcp(hello(TOKENS), server="203.0.113.66"), TOKENS)
    yield _passes("NUL behind the allowed name", tcp(hello("oauth2.googleapis.com\0.evil.net")), TOKENS)
    yield _passes("two names, the allowed one first", tcp(hello(TOKENS, "evil.net")), TOKENS)


def _nameless() -> Iterator[Flow]:
    yield _drops("TLS 1.3 without a name", tcp(hello()), NAMELESS)
    yield _drops("TLS 1.2 without a name", tcp(hello(version=TLS_1_2)), NAMELESS)
    yield _drops("TLS 1.0 without extensions", tcp(record(handshake(None, TLS_1_0))), NAMELESS)
    yield _drops("SSL 3 without extensions", tcp(record(handshake(None, SSL_3_0), SSL_3_0)), NAMELESS)
    yield _drops("empty name", tcp(hello("")), NAMELESS)
    yield _drops(
        "encrypted hello without an outer name",
        tcp(hello(more=[(ENCRYPTED_CLIENT_HELLO, bytes(64))])),
        NAMELESS,
    )
    split = hello(more=[post_quantum_key_share(), (21, bytes(400))])
    yield _drops("no name, hello in two segments", tcp(*pieces(split, 1412)), NAMELESS, 1412)


def _no_tls() -> Iterator[Flow]:
    request = b"GET / HTTP/1.1\r\nHost: oauth2.googleapis.com\r\n\r\n"
    yield _drops("HTTP on 443", tcp(request), HTTP_ON_443)
    yield _drops(
        "CONNECT on 443", tcp(b"CONNECT evil.net:443 HTTP/1.1\r\nHost: evil.net\r\n\r\n"), HTTP_ON_443
    )
    yield _drops("HTTP/2 in clear on 443", tcp(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP_ON_443)
    yield _drops("SSH on 443", tcp(b"SSH-2.0-OpenSSH_9.2\r\n"), NO_TLS)
    yield _drops("arbitrary bytes on 443", tcp(bytes(range(200, 256)) * 20), DEFAULT)
    yield _drops("few bytes on 443", tcp(b"\x99\x98"), DEFAULT)
    yield _drops("content without a hello", tcp(application_data()), DEFAULT)
    yield _drops("plain HTTP", tcp(request, port=80), PLAIN_HTTP)


def _other_ports_and_protocols() -> Iterator[Flow]:
    yield _drops("allowed name on 8443", tcp(hello(TOKENS), port=8443), OTHER_PORT)
    yield _drops("allowed name on 80", tcp(hello(TOKENS), port=80), PLAIN_HTTP)
    yield _drops("HTTP on 8080", tcp(b"GET / HTTP/1.1\r\n\r\n", port=8080), OTHER_PORT)
    yield _drops("SSH", tcp(b"SSH-2.0-x\r\n", port=22), OTHER_PORT)
    yield _drops("mail", tcp(b"EHLO x\r\n", port=25), OTHER_PORT)
    yield _drops("QUIC", udp(b"\xc0\0\0\0\x01\x08" + bytes(1200), 443), "QUIC")
    yield _drops("other datagrams to 443", udp(b"content", 443), "QUIC")
    yield _drops("network time", udp(b"\x1b" + bytes(47), 123), OTHER_PROTOCOL)
    yield _drops("datagrams to any port", udp(b"content", 40_000), OTHER_PROTOCOL)
    yield _drops("ping", ping(), OTHER_PROTOCOL)
    for name, number in (("GRE", 47), ("ESP", 50), ("SCTP", 132), ("IPv6 in IPv4", 41)):
        yield _drops(name, of_protocol(number), OTHER_PROTOCOL)
    yield _drops("allowed name over IPv6", tcp(hello(TOKENS), client=CLIENT_6, server=SERVER_6), "IPv6")
    yield _drops("datagrams over IPv6", udp(b"content", 443, client=CLIENT_6, server=SERVER_6), "IPv6")
    yield _drops(
        "allowed name, client of another network", tcp(hello(TOKENS), client="10.99.0.9"), NOT_ALLOWED
    )


def _name_services() -> Iterator[Flow]:
    query = bytes(DNS(rd=1, qd=DNSQR(qname="secret.evil.net")))
    yield _drops("DNS to another resolver", udp(query, 53), DNS_ELSEWHERE)
    yield _drops("DNS over TCP", tcp(len(query).to_bytes(2, "big") + query, port=53), DNS_ELSEWHERE)
    yield _drops("DNS over TLS", tcp(hello("dns.google"), port=853), DNS_ELSEWHERE)
    yield _drops("DNS over QUIC", udp(b"\xc0\0\0\0\x01" + bytes(1200), 853), DNS_ELSEWHERE)
    yield _drops("DNS over HTTPS", tcp(hello("dns.google")), NOT_ALLOWED)
    yield _drops("DNS over HTTPS without a name", tcp(hello(), server="198.51.100.53"), NAMELESS)
    yield _drops("DNS on another port", udp(query, 5353), OTHER_PROTOCOL)


def _from_outside() -> Iterator[Flow]:
    yield _drops("opening from outside to 443", opening_from(SERVER, "10.30.16.20", 443), FROM_OUTSIDE)
    yield _drops("opening from outside to 8080", opening_from(SERVER, "10.30.16.20", 8080), FROM_OUTSIDE)
    yield _drops("datagram from outside", udp(b"x", 8080, client=SERVER, server="10.30.16.20"), FROM_OUTSIDE)
