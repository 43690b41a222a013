"""One exchange: encrypted, bounded, not redirected, and never shown. Real sockets."""

import json

import pytest

from lambdas.secret_rotation import http_call
from lambdas.secret_rotation.google_token import access_token
from lambdas.secret_rotation.http_call import Request, bearer, refusal, refuse_insecure, send
from lambdas.secret_rotation.refusal import RotationError
from tests.lambdas.simulated_key_makers import Answer, SimulatedGoogle, served


@pytest.fixture(autouse=True)
def simulated_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the embedded cloud: the provider listens on this machine."""
    monkeypatch.setenv(http_call.SIMULATED_PROVIDERS, "true")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/2018-06-01/runtime/invocation/1/response",
        "http://localhost:9001/",
        "http://[::1]:9001/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0x1/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
        "https://a.localhost/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://[fd00:ec2::254]/",
        "https://metadata/",
    ],
)
def test_in_aws_no_address_of_this_machine_or_by_its_number_is_called(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(http_call.SIMULATED_PROVIDERS)
    with pytest.raises(RotationError, match="no https address") as refused:
        send(Request(method="GET", url=url))
    assert url not in str(refused.value)
    file = {**SimulatedGoogle("https://oauth2.googleapis.com").new_key_file(), "token_uri": url}
    with pytest.raises(RotationError, match="`token_uri` of the key is no https address"):
        access_token(file, "the key", send=send, now_s=0.0)


@pytest.mark.parametrize(
    "host", ["elsewhere.example.com", "googleapis.com.example.com", "evilgoogleapis.com", "googleapis.com"]
)
def test_in_aws_a_google_key_is_exchanged_at_google_only(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(http_call.SIMULATED_PROVIDERS)
    file = SimulatedGoogle(f"https://{host}").new_key_file()
    with pytest.raises(RotationError, match=r"is no address below googleapis\.com"):
        access_token(file, "the key", send=send, now_s=0.0)


def test_in_aws_google_s_own_endpoint_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(http_call.SIMULATED_PROVIDERS)
    asked: list[str] = []

    def answer(request: Request) -> http_call.Reply:
        asked.append(request.url)
        return http_call.Reply(status=200, body=b'{"access_token": "t"}')

    file = SimulatedGoogle("https://oauth2.googleapis.com").new_key_file()
    assert access_token(file, "the key", send=answer, now_s=0.0) == "t"
    assert asked == ["https://oauth2.googleapis.com/token"]


@pytest.mark.parametrize(
    "url",
    [
        "http://llama.example.com/v1",
        "http://127.0.0.1.example.com/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https://user:word@llama.example.com/",
        "https://llama.example.com:0/",
        "https://llama.example.com:99999/",
        "https://[::1/",
        "https://llama.example.com/#part",
        "llama.example.com",
    ],
)
def test_keys_are_sent_over_https_only_or_to_this_machine(url: str) -> None:
    with pytest.raises(RotationError, match="no https address") as refused:
        refuse_insecure(url, "`test_url`")
    assert url not in str(refused.value)
    with pytest.raises(RotationError, match="no https address"):
        send(Request(method="GET", url=url))


def test_a_request_arrives_as_it_was_made() -> None:
    seen: list[object] = []

    def answer(*asked: object) -> Answer:
        seen.extend(asked)
        return 200, {"fine": True}

    with served() as (origin, answers):
        answers.append(answer)
        reply = send(
            Request(method="POST", url=f"{origin}/a/b?c=d", headers=bearer("k"), body=b'{"name": "x"}')
        )
    method, url, headers, body = seen
    assert (method, url, body) == ("POST", f"{origin}/a/b?c=d", b'{"name": "x"}')
    assert isinstance(headers, dict)
    assert headers["authorization"] == "Bearer k"
    assert reply.document("it") == {"fine": True}


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    asked: list[str] = []

    def answer(_method: str, url: str, *_rest: object) -> Answer:
        asked.append(url)
        return 307, {"location": "/elsewhere"}

    with served() as (origin, answers):
        answers.append(answer)
        reply = send(Request(method="GET", url=f"{origin}/here"))
    assert reply.status == 307
    assert asked == [f"{origin}/here"]


def test_the_shell_s_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with served() as (origin, answers):
        answers.append(lambda *_asked: (200, {}))
        assert send(Request(method="GET", url=origin)).status == 200


def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_call, "LARGEST_ANSWER_BYTES", 100)
    with served() as (origin, answers):
        long: Answer = (200, {"long": "x" * 100})
        answers.append(lambda *_asked: long)
        with pytest.raises(RotationError, match="more than 100 bytes"):
            send(Request(method="GET", url=origin))


def test_no_answer_names_the_host_and_no_key() -> None:
    with pytest.raises(RotationError, match=r"127\.0\.0\.1 gives no answer: ConnectionRefusedError"):
        send(Request(method="GET", url="http://127.0.0.1:9/", headers=bearer("sk-secret")))
    with pytest.raises(RotationError, match="gives no answer: ValueError") as refused:
        send(Request(method="GET", url="http://127.0.0.1:9/", headers={"authorization": "sk\nsecret"}))
    assert "secret" not in str(refused.value)


def test_a_slow_answer_is_given_up() -> None:
    import threading

    release = threading.Event()

    def answer(*_asked: object) -> Answer:
        release.wait(5)
        return 200, {}

    with served() as (origin, answers):
        answers.append(answer)
        with pytest.raises(RotationError, match="gives no answer: TimeoutError"):
            send(Request(method="GET", url=origin), timeout_s=0.1)
        release.set()


@pytest.mark.parametrize("key", ["", "two words", "a\nb", "schlüssel"])
def test_a_key_that_no_header_carries_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(RotationError, match="visible ASCII") as refused:
        bearer(key)
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": "invalid_grant", "error_description": "sk-secret"}, "it answered 400 invalid_grant"),
        ({"error": {"status": "NOT_FOUND", "message": "sk-secret"}}, "it answered 400 NOT_FOUND"),
        ({"error": {"code": "invalid_api_key"}}, "it answered 400 invalid_api_key"),
        ({"error": {"code": "sk-abc1"}}, "it answered 400"),
        ({"error": ["sk-secret"]}, "it answered 400"),
        (["sk-secret"], "it answered 400"),
    ],
)
def test_of_a_refusal_only_status_and_code_are_shown(body: object, shown: str) -> None:
    reply = http_call.Reply(status=400, body=json.dumps(body).encode())
    assert str(refusal("it", reply)) == shown
    assert "secret" not in repr(reply)
    assert "secret" not in repr(
        Request(method="GET", url="https://a.example", headers=bearer("secret"), body=b"secret")
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RotationError, match="it answered 200 with a body that is no JSON object"):
        http_call.Reply(status=200, body=body).document("it")


def test_a_token_is_got_over_a_socket_with_a_real_signature() -> None:
    with served() as (origin, answers):
        google = SimulatedGoogle(origin)
        answers.append(google.answer)
        file = google.new_key_file()
        token = access_token(file, "the key", send=send, now_s=1_795_000_000.0)
        assert token in google.tokens
        google.keys.clear()
        with pytest.raises(RotationError, match="answered 400 invalid_grant"):
            access_token(file, "the key", send=send, now_s=1_795_000_000.0)


def test_a_token_endpoint_in_the_clear_is_not_asked() -> None:
    file = SimulatedGoogle("http://elsewhere.example.com").new_key_file()
    with pytest.raises(RotationError, match="`token_uri` of the key is no https address"):
        access_token(file, "the key", send=send, now_s=0.0)
