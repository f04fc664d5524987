"""What extra keys of TensorZero's tables mean in LiteLLM, and which of them mean nothing there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_SAME = (
    *("temperature", "max_tokens", "seed", "top_p", "presence_penalty", "frequency_penalty", "reasoning_effort"),
    *("service_tier", "verbosity"),
)
_RENAMED = {"stop_sequences": "stop"}
_CONVERTED = ("extra_headers", "extra_body", "timeouts", "timeout_ms", "retries")

_ELSEWHERE = frozenset({
    *("type", "model", "cost", "batch_cost", "weight", "api_type", "discard_unknown_chunks"),
    *("region", "location", "project_id", "access_key_id", "secret_access_key", "session_token", "hosted_provider"),
    *("api_key_location", "credential_location", "api_key", "allow_auto_detect_region"),
})  # fmt: skip
"""Keys that stand elsewhere in the entry, or that concern TensorZero alone."""


def parameters_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `litellm_params` that mean the same as these keys of a variant's or a provider's table."""
    params = {key: table[key] for key in _SAME if table.get(key) is not None}
    params |= {theirs: table[ours] for ours, theirs in _RENAMED.items() if table.get(ours) is not None}
    params |= _timeouts(table)
    if headers := _headers(table.get("extra_headers")):
        params["extra_headers"] = headers
    if body := _body(table.get("extra_body")):
        params["extra_body"] = body
    retries = table.get("retries")
    if isinstance(retries, dict) and isinstance(retries.get("num_retries"), int):
        params["num_retries"] = retries["num_retries"]
    return params


def without_counterpart(table: Mapping[str, Any]) -> list[str]:
    """Return the keys of a table that LiteLLM has nothing like."""
    known = {*_SAME, *_RENAMED, *_CONVERTED, *_ELSEWHERE}
    not_plain = [key for key in ("extra_headers", "extra_body") if table.get(key) and not _is_plain(table[key])]
    return sorted({*(key for key in table if key not in known and table[key] is not None), *not_plain})


def _timeouts(table: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds there, seconds here."""
    given: Any = table.get("timeouts")
    given = given if isinstance(given, dict) else {}
    whole, streamed = given.get("non_streaming"), given.get("streaming")
    found = {
        "timeout": whole.get("total_ms") if isinstance(whole, dict) else table.get("timeout_ms"),
        "stream_timeout": streamed.get("ttft_ms") if isinstance(streamed, dict) else None,
    }
    return {key: value / 1000 for key, value in found.items() if isinstance(value, int) and not isinstance(value, bool)}


def _is_plain(entries: object) -> bool:
    """Whether all entries set a value, of requests to every variant and model, and none an item of a list."""
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and "value" in entry
        and entry.keys() <= {"name", "pointer", "value"}
        and not any(part.isdigit() or part == "-" for part in str(entry.get("pointer", "")).split("/"))
        for entry in entries
    )


def _headers(entries: object) -> dict[str, Any]:
    return {entry["name"]: entry["value"] for entry in _plain(entries) if isinstance(entry.get("name"), str)}


def _body(entries: object) -> dict[str, Any]:
    """Make an object of JSON pointers and values."""
    body: dict[str, Any] = {}
    for entry in _plain(entries):
        *path, last = [_unescaped(part) for part in str(entry.get("pointer", "")).split("/")[1:]] or [""]
        inner = body
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[last] = entry["value"]
    return body


def _plain(entries: object) -> Iterable[dict[str, Any]]:
    return entries if isinstance(entries, list) and _is_plain(entries) else ()


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
