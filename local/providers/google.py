"""Simulated Vertex AI: generateContent, judged by google-genai's own types."""

from __future__ import annotations

import re
from typing import cast

import msgspec
import pydantic
from google.genai import types

from local.providers.credentials import check_google
from local.providers.exchange import (
    Asked,
    Choice,
    FinishReason,
    KnownCredentials,
    OfferedTool,
    Received,
    RefusalError,
    Reply,
)
from local.providers.issued_keys import IssuedKeys

Json = dict[str, object]

_FINISH_REASONS: dict[FinishReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CHOICES: dict[str, Choice] = {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
_FUNCTION_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_UNSIGNED_GENERATIONS = ("gemini-1", "gemini-2")


class GenerateContentRequest(pydantic.BaseModel):
    """The body of the call; google-genai has types for its parts, and none for the whole."""

    model_config = pydantic.ConfigDict(extra="forbid")

    contents: list[types.Content]
    systemInstruction: types.Content | None = None  # noqa: N815
    tools: list[types.Tool] | None = None
    toolConfig: types.ToolConfig | None = None  # noqa: N815
    generationConfig: types.GenerationConfig | None = None  # noqa: N815
    safetySettings: list[types.SafetySetting] | None = None  # noqa: N815
    labels: dict[str, str] | None = None
    cachedContent: str | None = None  # noqa: N815


class Google:
    """The generateContent wire format."""

    name = "google"

    def __init__(self, issued: IssuedKeys | None = None) -> None:
        self._issued = issued or IssuedKeys()

    def authorise(self, received: Received, known: KnownCredentials, now_s: float) -> None:  # noqa: ARG002
        """See `Wire.authorise`."""
        check_google(received, now_s, self._issued)

    def read(self, model: str, body: bytes) -> Asked:
        """See `Wire.read`."""
        try:
            request = GenerateContentRequest.model_validate_json(body, strict=True)
        except pydantic.ValidationError as error:
            found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise RefusalError(400, f"Invalid JSON payload received. {found}") from None
        _check_contents(request.contents, signed=not model.startswith(_UNSIGNED_GENERATIONS))
        declarations = _declarations(request)
        calling = request.toolConfig.function_calling_config if request.toolConfig else None
        named = _check_calling(calling, declarations)
        configuration = request.generationConfig or types.GenerationConfig()
        return Asked(
            model=model,
            last_user_text=_last_user_text(request.contents),
            prompt_bytes=len(body),
            tools=tuple(_offered(declaration) for declaration in declarations),
            choice="named"
            if named
            else _CHOICES[str(calling.mode.value) if calling and calling.mode else "AUTO"],
            named_tool=named,
            maximum_tokens=configuration.max_output_tokens,
            stop=tuple(configuration.stop_sequences or ()),
        )

    def write(self, asked: Asked, reply: Reply) -> Json:
        """See `Wire.write`."""
        parts: list[Json] = [{"text": reply.text}] if reply.text else []
        for call in reply.tool_calls:
            arguments = call.arguments if isinstance(call.arguments, dict) else {"raw": call.arguments}
            function_call: Json = {"name": call.name, "args": arguments}
            parts.append({"functionCall": function_call | ({"id": call.id} if call.id else {})})
        candidate: Json = {
            "content": {"role": "model"} | ({"parts": parts} if parts else {}),
            "finishReason": _FINISH_REASONS[reply.finish_reason],
            "index": 0,
        }
        answer: Json = {
            "candidates": [candidate],
            "modelVersion": asked.model,
            "createTime": "2026-01-01T00:00:00Z",
            "responseId": "simulated",
        }
        if reply.usage is not None:
            usage = reply.usage
            counts = {
                "promptTokenCount": usage.input_tokens,
                "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
                "thoughtsTokenCount": usage.reasoning_tokens,
                "cachedContentTokenCount": usage.cached_input_tokens,
                "totalTokenCount": usage.input_tokens + usage.output_tokens,
            }
            # Protobuf's JSON leaves out what is zero.
            answer["usageMetadata"] = {name: count for name, count in counts.items() if count}
        return answer

    def write_error(self, status: int, code: str, message: str) -> tuple[Json, dict[str, str]]:
        """See `Wire.write_error`."""
        return {
            "error": {"code": status, "message": message, "status": code or _CODES.get(status, "UNKNOWN")}
        }, {}


def _check_contents(contents: list[types.Content], *, signed: bool) -> None:
    """The rules that the types do not express."""
    if not contents:
        raise RefusalError(400, "Unable to submit request because at least one contents field is required.")
    asked: list[str] = []
    for index, content in enumerate(contents):
        if content.role not in ("user", "model"):
            raise RefusalError(400, "Please use a valid role: user, model.")
        if not content.parts:
            raise RefusalError(
                400,
                f"Unable to submit request: contents.{index} must include at least one parts field.",
            )
        asked = _check_parts(index, content.role, content.parts, asked, signed=signed)
        if asked and (index == 0 or contents[index - 1].role != "user"):
            raise RefusalError(
                400,
                "Please ensure that a function call turn comes immediately after a user turn.",
            )


def _check_parts(
    index: int, role: str, parts: list[types.Part], asked: list[str], *, signed: bool
) -> list[str]:
    """Checks one content after a model that called `asked`; returns what it calls itself."""
    for part in parts:
        if part.text is not None and not part.text:
            raise RefusalError(
                400, f"Unable to submit request because it has an empty text parameter: contents.{index}."
            )
        if len(part.model_fields_set - {"thought_signature", "thought"}) != 1:
            raise RefusalError(400, f"contents.{index}: a part must have exactly one data field")
    calls = [part for part in parts if part.function_call]
    if calls and signed and calls[0].thought_signature is None:
        raise RefusalError(
            400, f"Function call is missing a thought_signature in functionCall parts: contents.{index}."
        )
    answered = [str(part.function_response.name) for part in parts if part.function_response]
    if role == "user" and answered != asked:
        raise RefusalError(
            400,
            "Please ensure that function response parts equal the function call parts before.",
        )
    return [str(part.function_call.name) for part in calls if part.function_call]


def _declarations(request: GenerateContentRequest) -> list[types.FunctionDeclaration]:
    declarations = [each for tool in request.tools or [] for each in tool.function_declarations or []]
    for declaration in declarations:
        if not _FUNCTION_NAME.fullmatch(declaration.name or ""):
            raise RefusalError(
                400, f"Invalid function name {declaration.name!r}: must start with a letter or an underscore."
            )
        if declaration.parameters is not None and declaration.parameters_json_schema is not None:
            raise RefusalError(400, "parameters and parameters_json_schema are mutually exclusive")
    return declarations


def _check_calling(
    calling: types.FunctionCallingConfig | None, declarations: list[types.FunctionDeclaration]
) -> str | None:
    """The one function the caller insists on, if so."""
    if calling is None or not calling.allowed_function_names:
        return None
    mode = calling.mode.value if calling.mode else "AUTO"
    if mode not in ("ANY", "VALIDATED"):
        raise RefusalError(400, "allowed_function_names may only be set when the mode is ANY or VALIDATED")
    unknown = set(calling.allowed_function_names) - {each.name for each in declarations}
    if unknown:
        raise RefusalError(
            400, f"allowed_function_names holds functions that are not declared: {sorted(unknown)}"
        )
    return calling.allowed_function_names[0] if mode == "ANY" else None


def _offered(declaration: types.FunctionDeclaration) -> OfferedTool:
    schema = declaration.parameters_json_schema
    if schema is None and declaration.parameters is not None:
        schema = msgspec.json.decode(declaration.parameters.model_dump_json(exclude_none=True).lower())
    return OfferedTool(str(declaration.name), cast(dict[str, object], schema or {}))


def _last_user_text(contents: list[types.Content]) -> str:
    for content in reversed(contents):
        texts = [part.text for part in content.parts or [] if part.text]
        if content.role == "user" and texts:
            return "\n".join(texts)
    return ""
