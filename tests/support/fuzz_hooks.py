"""What makes a schemathesis run reach the rows that are there: half of all references drawn name one of the seeds.

Loaded by `schemathesis` itself (SCHEMATHESIS_HOOKS); the choice hangs on what was drawn, so that a seed repeats it.
"""

from __future__ import annotations

import zlib
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

ROWS = {
    "providers": ["ollama_local", "openai", "vllm_local"],
    "models": ["qwen3_8b", "gpt_5_4_nano", "cheap"],
    "aliases": ["cheap", "default_embedding"],
    "functions": ["agents/chat"],
    "mappings": ["agents", "agents/chat/local_qwen3_5"],
    "deployments": ["gpu-node-1/ollama/qwen3:8b"],
}
_FIELDS: dict[str, list[Any]] = {
    **dict.fromkeys(("provider_id", "provider", "provider_name", "fallback_provider"), ROWS["providers"]),
    **dict.fromkeys(("model_id", "model", "fallback_model_id"), ROWS["models"]),
    # Values with a form that no schema can describe.
    "api_base": ["http://h.example/v1", "https://h.example/v1/"],
    "api_key_env_var": ["SOME_KEY", "OPENAI_API_KEY"],
    "tensorzero": [{}],
}
NOBODY = "http://127.0.0.1:9"
_ADDRESSES = {"service_url", "address"}
"""What is registered under these is asked: nothing here may ask who really has an address."""


def _swapped(drawn: object, good: list[Any]) -> Any:
    """One of the valid values or the drawn one, depending on its bytes."""
    number = zlib.crc32(repr(drawn).encode())
    return good[(number >> 1) % len(good)] if number % 2 else drawn


def _path(context: HookContext) -> str:
    return context.operation.path if context.operation else ""


@schemathesis.hook
def map_path_parameters(context: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """References in paths."""
    plural = _path(context).removeprefix("/api/").partition("/")[0]
    if path_parameters and "reference" in path_parameters and plural in ROWS:
        path_parameters["reference"] = _swapped(path_parameters["reference"], ROWS[plural])
    return path_parameters


@schemathesis.hook
def map_body(context: HookContext, body: Any) -> Any:
    """References in bodies; a new model's `model_id` is what its provider calls it, and refers to nothing."""
    if isinstance(body, dict):
        for field, good in _FIELDS.items():
            if field in body and not (field == "model_id" and _path(context).startswith("/api/models")):
                body[field] = _swapped(body[field], good)
    return body


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Addresses in bodies, also where they are the documentation's own examples; and no training is waited for."""
    if isinstance(case.body, dict):
        for field in _ADDRESSES & case.body.keys():
            case.body[field] = NOBODY
    if _path(context) == "/train_model":
        case.headers["Prefer"] = "respond-async"  # or it waits ten minutes for an instance that nobody answers at
