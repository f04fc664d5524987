"""Replaces deprecated syntax where the gateway treats old and new alike. Pure; the tables may be invalid.

Source: the gateway's warnings, 2026.6.0. Variants' weights and the kinds of static experimentation become priorities
and weights in `importing/sampling.py`. All other syntax is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.gateways.tensorzero.project import Path, Table, dotted

Rewrite = tuple[str, str]
"""Key or file, and the replacement."""


def modernised(tree: Table) -> tuple[Table, list[Rewrite]]:
    """Return a copy of the tree in current syntax, and the replacements."""
    new = copy.deepcopy(tree)
    rewritten = [*_functions(new), *_evaluations(new), *_providers(new), *_gateway(new)]
    return new, rewritten


def _tables(tree: Toml, *path: str) -> Iterator[tuple[Path, Table]]:
    """Return the tables at a path in which `*` matches any key."""
    matches: list[tuple[Path, Any]] = [((), tree)]
    for part in path:
        matches = [
            ((*at, key), value[key])
            for at, value in matches
            if isinstance(value, dict)
            for key in (value if part == "*" else [part] if part in value else [])
        ]
    return ((at, value) for at, value in matches if isinstance(value, dict))


def _functions(tree: Table) -> Iterator[Rewrite]:
    for path, function in _tables(tree, "functions", "*"):
        for pattern in (("experimentation",), ("experimentation", "namespaces", "*")):
            for below, table in _tables(function, *pattern):
                if table.get("type") == "track_and_stop":
                    # The default algorithm of `adaptive`.
                    table["type"] = "adaptive"
                    yield dotted((*path, *below)), "track_and_stop -> adaptive"
        yield from _timeouts(path, function)


def _timeouts(path: Path, function: Table) -> Iterator[Rewrite]:
    """Move `timeout_s` of best-of-n and mixture-of-n to the candidates, as the gateway does."""
    for below, variant in list(_tables(function, "variants", "*")):
        seconds, names = variant.get("timeout_s"), variant.get("candidates")
        variants: Table = function["variants"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isinstance(names, list):
            continue
        candidates = [variants.get(name) if isinstance(name, str) else None for name in names]
        fresh = [c for c in candidates if isinstance(c, dict) and "timeouts" not in c]
        if len(fresh) < len(names) or len(set(names)) < len(names) or not 0 < seconds * 1000 < 2**63:
            continue  # the gateway refuses it; so do the rules
        milliseconds = int(seconds * 1000)
        for candidate in fresh:
            candidate["timeouts"] = {
                "non_streaming": {"total_ms": milliseconds},
                "streaming": {"ttft_ms": milliseconds},
            }
        del variant["timeout_s"]
        yield dotted((*path, *below)), f"timeout_s -> timeouts of {', '.join(names)}"


def _evaluations(tree: Table) -> Iterator[Rewrite]:
    for path, table in _tables(tree, "evaluations", "*"):
        if table.get("type") == "static":
            table["type"] = "inference"
            yield dotted(path), "evaluation of type static -> inference"


def _providers(tree: Table) -> Iterator[Rewrite]:
    for path, table in _tables(tree, "models", "*", "providers", "*"):
        kind = table.get("type")
        base = table.get("api_base")
        if kind == "anthropic" and isinstance(base, str) and base.rstrip("/").endswith("/messages"):
            table["api_base"] = base.rstrip("/").removesuffix("/messages")
            yield dotted(path), "api_base without /messages, which the gateway adds itself"
        automatic = str(kind).startswith("aws_") and table.get("allow_auto_detect_region") is True
        if automatic and table.get("region", "sdk") == "sdk":
            del table["allow_auto_detect_region"]
            table["region"] = "sdk"
            yield dotted(path), 'allow_auto_detect_region -> region = "sdk"'


def _gateway(tree: Table) -> Iterator[Rewrite]:
    for path, table in _tables(tree, "gateway", "observability"):
        old = table.get("disable_automatic_migrations")
        clickhouse = tree.get("clickhouse", {})
        if (
            old is True
            and isinstance(clickhouse, Mapping)
            and clickhouse.get("disable_automatic_migrations") is not True
        ):
            del table["disable_automatic_migrations"]
            tree["clickhouse"] = {**clickhouse, "disable_automatic_migrations": True}
            yield dotted(path), "disable_automatic_migrations -> clickhouse.disable_automatic_migrations"
