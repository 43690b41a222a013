"""The first request after `make up`: shows that everything works, what was decided, and how to go on."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local import loopback
from local.cloud import Connection
from local.progress import StepError

_QUESTION = "May a tenant withhold rent while the heating is broken?"
_REQUEST: Mapping[str, Any] = {
    "messages": [{"role": "user", "content": _QUESTION}],
    "domain": "legal",
    "budget_tier": "standard",
}
_TIMEOUT_S = 30.0


def send(connection: Connection) -> dict[str, Any]:
    """Ask `/v1/route` and return its answer: decision and completion.

    Raises:
        StepError: the gateway answers with an error, or not at all.
    """
    request = urllib.request.Request(  # noqa: S310  (loopback)
        f"{connection.url}/v1/route",
        data=json.dumps(_REQUEST).encode(),
        headers={"authorization": f"Bearer {connection.api_key}", "content-type": "application/json"},
    )
    try:
        with loopback.request(request, _TIMEOUT_S) as response:
            return dict(json.loads(response.read()))
    except urllib.error.HTTPError as error:
        details = error.read().decode(errors="replace")
        raise StepError(
            f"the gateway refused the first request with status {error.code}",
            "`make logs` shows the gateway's side",
            details,
        ) from error
    except (OSError, ValueError) as error:
        raise StepError(
            f"the gateway did not answer the first request: {error}", "`make logs` shows its side"
        ) from error


def explanation(answer: Mapping[str, Any], connection: Connection, connection_file: Path) -> str:
    """What `make up` prints last: the decision, and how to call the gateway."""
    return "\n".join([*_decision(answer), "", *_calls(connection, _shown(connection_file)), "", *_NEXT])


def _decision(answer: Mapping[str, Any]) -> list[str]:
    decision = answer["decision"]
    lines = [
        f"“{_QUESTION}”",
        f"  domain {decision['domain']}, tier {decision['budget_tier']}, stage {decision['stage']}, "
        f"policy {decision['policy_version']} → {decision['chosen']}",
        "",
    ]
    candidates = decision["candidates"]
    names = [partial["name"] for partial in candidates[0]["partials"]] if candidates else []
    lines.append(f"  {'model':<34}{'score':>7}" + "".join(f"{name:>10}" for name in names))
    for candidate in candidates:
        partials = "".join(f"{partial['contribution']:>10.3f}" for partial in candidate["partials"])
        lines.append(f"  {candidate['key']:<34}{candidate['score']:>7.3f}{partials}")
    for exclusion in decision["excluded"]:
        lines.append(f"  {exclusion['key']:<34}{'—':>7}  {exclusion['reason']}")
    return [*lines, "", f"  answer: {_text(answer)}"]


def _text(answer: Mapping[str, Any]) -> str:
    completion = answer["completion"]
    text = str(completion["choices"][0]["message"]["content"]).replace("\n", " ")
    return f"{text[:100]} ({completion['model']})"


def _calls(connection: Connection, file: str) -> list[str]:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hello"}]})
    return [
        "Call it:",
        "",
        f"  curl -s {connection.url}/v1/chat/completions \\",
        f"    -H 'authorization: Bearer {connection.api_key}' -H 'content-type: application/json' \\",
        f"    -d '{body}'",
        "",
        f"or with the openai client ({os.path.relpath('.venv/bin/python')}):",
        "",
        *(f"  {line}" for line in openai_snippet(file)),
    ]


def openai_snippet(connection_file: str) -> list[str]:
    """Ten lines of Python that ask the gateway through the official client."""
    return [
        "import json",
        "import pathlib",
        "",
        "import openai",
        "",
        f'gateway = json.loads(pathlib.Path("{connection_file}").read_text())',
        'client = openai.OpenAI(base_url=gateway["url"] + "/v1", api_key=gateway["api_key"])',
        'messages = [{"role": "user", "content": "What goes into a risotto?"}]',
        'answer = client.chat.completions.create(model="auto", messages=messages)',
        "print(answer.model, answer.choices[0].message.content)",
    ]


def _shown(file: Path) -> str:
    """The file as it is reached from here, where that is shorter."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


_NEXT = [
    "Next: make status · make logs · make down · "
    'POST /v1/route with "dry_run": true decides without calling a model',
]
