"""What the OpenAPI document says of the paths that are dispatched: FastAPI does not know them."""

from __future__ import annotations

from typing import Any

from model_registry.api.dispatch.combining import AGGREGATES
from model_registry.api.problems import responses
from model_registry.entities.service_capabilities import CAPABILITIES, PREDICTION, TRAINING

TAG = "dispatch"
"""Of every path that is passed on."""
_GENERAL = "/dispatch/{model_type}/{capability}/{path}"
_METHODS = ("get", "post", "put", "patch", "delete")
_REFUSALS = (401, 403, 404, 405, 408, 409, 422, 429, 502, 503, 504, 508)
_SUMMARIES = {
    PREDICTION: "Have a model service predict",
    "multistep_prediction": "Have a model service predict several steps",
    "forecasting": "Have a model service forecast",
    TRAINING: "Have a model service train; sent once, never again",
}
_HEADERS = {
    "X-Registry-Service": "Who answered: the instance's `service_id`.",
    "X-Registry-Attempts": "How many instances were tried.",
    "X-Registry-Overhead-Ms": "What the registry added, in milliseconds.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "A repeated request with the same key gets the answer of the first, for 24 hours, at this replica.",
}


def dispatch_paths() -> dict[str, Any]:
    """Return the paths with their operations."""
    named = {capability.path: {"post": _named(name)} for name, capability in CAPABILITIES.items()}
    return {**named, _GENERAL: {method: _general(method) for method in _METHODS}}


def _named(capability: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "model_type": {"type": "string", "description": "Compared without case.", "examples": ["LSTM"]},
        "model_version": {
            "type": "string",
            "description": "`latest`, an instance's version, or a name from the service's own `/models`.",
        },
    }
    if capability == PREDICTION:
        names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
        properties["aggregate"] = {"type": "string", "enum": list(AGGREGATES)}
        properties["model_types"] = {**names, "description": "With `aggregate`: the model types to ask."}
        properties["versions"] = {**names, "description": "With `aggregate`: the versions to ask. Default: all."}
    return {
        "tags": [TAG],
        "summary": _SUMMARIES[capability],
        "operationId": f"dispatch_{capability}",
        "description": "Other fields are the service's own, and are passed on as they are. Needs the scope dispatch.",
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "properties": properties}}},
        },
        "responses": _responses("What the service answers, unchanged", 413),
    }


def _general(method: str) -> dict[str, Any]:
    names = {
        "model_type": "Compared without case.",
        "capability": "What an instance must be able to do, such as `prediction`.",
        "path": "Below the instance's address. Query, body and headers are passed on; a path may contain slashes.",
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": text}
        for name, text in names.items()
    ]
    operation: dict[str, Any] = {
        "tags": [TAG],
        "summary": "Send any request to an instance of a model service",
        "operationId": f"dispatch_{method}",
        "description": "The body is passed on as it comes, of any size; so is the answer. Needs the scope dispatch.",
        "security": [{"bearer": []}, {"apiKey": []}],
        "parameters": parameters,
        "responses": _responses("What the service answers, unchanged"),
    }
    if method != "get":
        operation["parameters"] = [*parameters, _KEY]
        operation["requestBody"] = {"required": False, "content": {"*/*": {"schema": {}}}}
    return operation


def answered(description: str) -> dict[str, Any]:
    """Return an answer that is passed on, with the registry's headers."""
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()}
    return {
        "description": description,
        "headers": {name: {**value, "required": False} for name, value in headers.items()},
    }


def _responses(description: str, *more: int) -> dict[str, Any]:
    refusals = {str(status): response for status, response in responses(*_REFUSALS, *more).items()}
    return {"default": answered(description), **refusals}
