"""What SMG accepts as a list of workers: its own rules, repeated here, because its loader cannot be asked alone.

SMG reads the file only as a running gateway, which goes on to ask every worker. So the rules decide here, and a test
asks the real program whether it agrees (tests/acceptance/gateways/test_smg_rules.py). A file that it refuses does no
harm: the last good one stays in use.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from model_registry.errors import Reason

_KEYS = frozenset({"version", "workers"})
_STRINGS = frozenset({"id", "url", "worker_type", "model_id", "kv_connector", "kv_role", "kv_engine_id"})
_URL = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+):([0-9]{1,5})(/[^\s?#@]*)?", re.IGNORECASE)
_MOST = 65535


class _Twice(ValueError):
    """A key stands twice in an object."""


def faults(text: bytes, version: int) -> Iterator[Reason]:
    """Yield why SMG would refuse this file; `where` is the worker's id, as far as there is one."""
    try:
        manifest = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        yield Reason("", f"it is not JSON: {error}")
        return
    if not isinstance(manifest, dict) or set(manifest) != _KEYS:
        yield Reason("", "it must be an object with version and workers, and nothing else")
    elif type(manifest["version"]) is not int or manifest["version"] != version:
        yield Reason("version", f"must be {version}")
    elif not isinstance(manifest["workers"], list):
        yield Reason("workers", "must be a list")
    else:
        yield from _workers(manifest["workers"])


def doubts(text: bytes) -> Iterator[Reason]:
    """Yield what SMG accepts, and what probably does not do what is meant. For files without faults."""
    for worker in json.loads(text)["workers"]:
        name = worker.get("id", worker["url"])
        if "/ollama/" in name.lower():
            yield Reason(name, "an Ollama has no GET /health, without which SMG uses no server: put a proxy before it")


def is_worker_url(url: str) -> bool:
    """Whether SMG takes this as the address of a worker; the port is always there here, though not for SMG."""
    match = _URL.fullmatch(url)
    return match is not None and 0 < int(match[3]) <= _MOST


def _workers(workers: list[Any]) -> Iterator[Reason]:
    ids: set[str] = set()
    addresses: dict[str, str] = {}
    for number, worker in enumerate(workers):
        where = f"workers[{number}]"
        if not isinstance(worker, dict):
            yield Reason(where, "must be an object")
            continue
        where = str(worker.get("id") or worker.get("url") or where)
        if reason := next(_of_one(worker), None):
            yield Reason(where, reason)
            continue
        if where in ids:
            yield Reason(where, "two workers have this id")
        ids.add(where)
        address = _address(worker["url"])
        if address in addresses:
            yield Reason(where, f"{worker['url']} is the address of {addresses[address]} too")
        addresses[address] = where


def _of_one(worker: dict[str, Any]) -> Iterator[str]:
    for key, value in worker.items():
        if key not in _STRINGS:
            yield f"{key} is no key of a worker"
        elif not isinstance(value, str):
            yield f"{key} must be a string"
    if worker.get("id") == "":
        yield "id must not be empty"
    if worker.get("worker_type", "regular") != "regular":
        yield "worker_type must be regular"
    if not is_worker_url(worker.get("url", "")):
        yield "url must be http://HOST:PORT, and a path if need be, without an @, which begins a rank"


def _address(url: str) -> str:
    """Return what SMG compares: host, port and path, without the scheme."""
    match = _URL.fullmatch(url)
    return f"{match[2].lower()}:{match[3]}{(match[4] or '').rstrip('/')}" if match else url


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("a key stands twice")
    return found
