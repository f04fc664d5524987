"""What the OpenAPI document says of the paths of OpenAI's protocol: FastAPI does not know those that are passed on."""

from __future__ import annotations

from typing import Any

from model_registry.api.dispatch.openapi import TAG, answered
from model_registry.api.problems import responses
from model_registry.entities.openai_paths import OPENAI_PATHS, OpenAIPath

_REFUSALS = (400, 401, 403, 404, 405, 408, 413, 422, 429, 431, 501, 502, 503, 504, 508)
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIProblem"}}}
_FORMS = frozenset({"transcription", "translation"})
_SUMMARIES = {
    "chat": "Have a language model answer a conversation",
    "completion": "Have a language model go on with a text",
    "responses": "Have a language model make a response",
    "embedding": "Have a model embed texts",
    "reranking": "Have a model rank documents",
    "speech": "Have a model speak a text",
    "transcription": "Have a model transcribe speech",
    "translation": "Have a model translate speech",
}
_DESCRIPTION = (
    "`model` is a model's name, an alias, `provider/name`, `service/function` or a service. The request is passed on "
    "to a server that has it, with its name there; other fields, and the answer, are the server's own. Needs the "
    "scope dispatch."
)


def openai_paths() -> dict[str, Any]:
    """Return the paths with their operations."""
    return {path: {"post": _operation(asked)} for path, asked in OPENAI_PATHS.items()}


def _operation(asked: OpenAIPath) -> dict[str, Any]:
    name = {"type": "string", "minLength": 1, "examples": ["agents/chat"]}
    schema = {"type": "object", "required": ["model"], "properties": {"model": name}, "additionalProperties": True}
    kind = "multipart/form-data" if asked.capability in _FORMS else "application/json"
    refusals = {str(status): {**documented, "content": _ERROR} for status, documented in responses(*_REFUSALS).items()}
    return {
        "tags": [TAG],
        "summary": _SUMMARIES[asked.capability],
        "operationId": f"ask_{asked.capability}",
        "description": _DESCRIPTION,
        "security": [{"bearer": []}, {"apiKey": []}],
        "requestBody": {"required": True, "content": {kind: {"schema": schema}}},
        "responses": {"default": answered("What the server answers, unchanged"), **refusals},
    }
