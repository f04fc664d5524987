"""What extra keys of TensorZero's tables mean in LiteLLM, and which of them mean nothing there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_SAME = (
    *("temperature", "max_tokens", "seed", "top_p", "presence_penalty", "frequency_penalty", "reasoning_effort"),
    *("service_tier", "verbosity"),
)
_RENAMED = {"stop_sequences": "stop"}
_PARTS_WITHOUT = (
    ("timeouts", "streaming", "total_ms"),
    ("retries", "max_delay_s"),
)
"""Parts of what is converted that LiteLLM has nothing like."""
_CONVERTED = ("extra_headers", "extra_body", "timeouts", "timeout_ms", "retries")

_CREDENTIALS = ("api_key_location", "credential_location", "api_key")
_CLOUD = ("region", "location", "project_id", "access_key_id", "secret_access_key", "session_token")
_ELSEWHERE = frozenset({"type", "model", "weight", "api_type", "allow_auto_detect_region", *_CREDENTIALS, *_CLOUD})
"""Keys that stand elsewhere in the entry."""
_BY_THE_CALLER, _BY_THE_CLOUD = "dynamic::", "sdk"


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
    found = {key for key in table if key not in known and table[key] is not None}
    found |= {key for key in ("extra_headers", "extra_body") if table.get(key) and not _is_plain(table[key])}
    found |= {key for key in _CREDENTIALS if table.get(key) and not _is_common(table[key])}
    found |= {key for key in _CLOUD if isinstance(table.get(key), str) and table[key].startswith(_BY_THE_CALLER)}
    for path in _PARTS_WITHOUT:
        here: Any = table
        for key in path:
            here = here.get(key) if isinstance(here, dict) else None
        found |= {".".join(path)} if here is not None else set()
    return sorted(found)


def _is_common(location: object) -> bool:
    """Whether LiteLLM looks for a key at the same place, or needs none."""
    return isinstance(location, str) and location in {"none", _BY_THE_CLOUD}


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
