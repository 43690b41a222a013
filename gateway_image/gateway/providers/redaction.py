"""Takes out of a peer's words what neither callers nor logs may see: keys, accounts, addresses."""

from __future__ import annotations

import re

_TOP_LEVEL = (
    "com|net|org|edu|gov|io|dev|ai|app|cloud|aws|co|eu|de|fr|nl|ie|it|es|uk|us|internal|local|localdomain|"
    "localhost|lan|corp|home|intranet|private|svc|test|example|invalid|arpa"
)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\barn:[\w-]+:[^\s\"'<>,;)\]}]+"), "[arn]"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>]+", re.IGNORECASE), "[address]"),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{6,}", re.IGNORECASE), "[key]"),
    (re.compile(r"-----BEGIN[\s\S]*"), "[key]"),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|nvapi|ghp|gho)[-_][\w*.+/=…-]{4,}", re.IGNORECASE), "[key]"),
    (re.compile(r"\bAIza[\w*…-]{4,}|\bya29\.[\w.*-]+|\bGOCSPX-[\w-]+"), "[key]"),
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA)[A-Z0-9*]{6,}"), "[key]"),
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,2}"), "[key]"),
    (re.compile(r"(?<![\w/+-])(?=[\w/+-]*[0-9])(?=[\w/+-]*[A-Za-z])[\w/+-]{32,}={0,2}"), "[token]"),
    (re.compile(r"(?<![\w.])\d{12}(?!\w)|(?<!\w)\d{4}-\d{4}-\d{4}(?!\w)"), "[account]"),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w])"), "[address]"),
    (
        re.compile(
            r"(?<![\w:.])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:]*:)(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]+:){7})"
            r"[0-9A-Fa-f:]{3,39}(?:%\w+)?(?![\w:])"
        ),
        "[address]",
    ),
    (
        re.compile(rf"(?<![\w.-])(?:[\w-]+\.)+(?:{_TOP_LEVEL})(?::\d{{1,5}})?(?![\w-]|\.\w)", re.IGNORECASE),
        "[address]",
    ),
    (re.compile(r"(?<![\w.-])localhost(?::\d{1,5})?(?![\w.-])", re.IGNORECASE), "[address]"),
    (re.compile(r"(?<![\w.-])ip-\d{1,3}(?:-\d{1,3}){3}(?![\w-])"), "[address]"),
    (
        re.compile(
            r"\b(host|server|upstream|backend|endpoint|peer|connect to)\s+[\"']?[\w.-]+:\d{1,5}(?!\w)[\"']?",
            re.IGNORECASE,
        ),
        r"\1 [address]",
    ),
)


def redacted(text: str) -> str:
    """`text` without keys, ARNs, account ids, tokens, addresses and host names, whose places are marked."""
    for pattern, mark in _RULES:
        text = pattern.sub(mark, text)
    return text
