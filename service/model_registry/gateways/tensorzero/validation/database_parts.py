"""The parts of a configuration that a gateway loads only with a database or a store of its own. Validates nothing.

The gateway that validates here has none. Most of these parts have a switch: switched off, the gateway still reads all
that they say. An experiment that learns and a store of objects have none: of them only the rules remain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from model_registry.gateways.tensorzero.project import Path, Table, as_table, dotted
from model_registry.gateways.tensorzero.rules.experimentation import ADAPTIVE

Part = tuple[Path, Callable[[], None]]
"""The key of a part, and what makes it loadable."""

_BACKENDS = ("clickhouse", "postgres", "valkey")
_STORES = ("s3_compatible", "filesystem")
_OF_SWITCH = "`rate_limiting.enabled` is `false`"
"""Begins a warning of the gateway that only comes because the section is switched off here."""


def database_parts(tree: Table, others: Iterable[Table] = ()) -> Iterator[Part]:
    """Yield the parts that a gateway alone would refuse. What is malformed is no such part: the gateway says so.

    Args:
        tree: a configuration, or one file of it.
        others: its other files. No key may be set in two.
    """
    gateway = as_table(tree.get("gateway"))
    yield from _observability(as_table(gateway.get("observability")))
    for path, table in ((("gateway", "auth"), as_table(gateway.get("auth"))), (("postgres",), _of(tree, "postgres"))):
        if table.get("enabled") is True:
            yield path, _setting(table, enabled=False)
    cache = as_table(gateway.get("cache"))
    if cache.get("enabled") is True:
        yield ("gateway", "cache"), _setting(cache, enabled=False)
    if cache.get("backend") in _BACKENDS:
        yield ("gateway", "cache"), _setting(cache, backend="auto")
    limits = _of(tree, "rate_limiting")
    if limits.get("backend") in _BACKENDS:
        yield ("rate_limiting",), _setting(limits, backend="auto")
    is_switched_elsewhere = any("enabled" in _of(other, "rate_limiting") for other in others)
    if limits.get("enabled") is True or ("enabled" not in limits and limits.get("rules") and not is_switched_elsewhere):
        yield ("rate_limiting",), _setting(limits, enabled=False)
    store = _of(tree, "object_storage")
    if store.get("type") in _STORES:
        yield ("object_storage",), _replacing(store, {"type": "disabled"})
    for name, function in _of(tree, "functions").items():
        yield from _experiments(("functions", name, "experimentation"), as_table(function).get("experimentation"))


def needs_databases(tree: Table) -> bool:
    """Whether there is any such part."""
    return next(database_parts(tree), None) is not None


def without_databases(tree: Table, others: Iterable[Table] = ()) -> tuple[str, ...]:
    """Make the parts loadable for a gateway alone, and return their keys. The arguments: as above."""
    parts = list(database_parts(tree, others))
    for _, make_loadable in parts:
        make_loadable()
    return tuple(dict.fromkeys(dotted(path) for path, _ in parts))


def explained(keys: Iterable[str]) -> tuple[str, ...]:
    """Return a warning for each key of such a part."""
    return tuple(f"not checked by the gateway but by the rules, because it needs a database: {key}" for key in keys)


def own_warnings(warnings: Iterable[str]) -> tuple[str, ...]:
    """Return the gateway's warnings without those about what was only switched off here."""
    return tuple(warning for warning in warnings if not warning.startswith(_OF_SWITCH))


def _of(tree: Table, section: str) -> Table:
    return as_table(tree.get(section))


def _observability(table: Table) -> Iterator[Part]:
    path = ("gateway", "observability")
    if table.get("enabled") is True:
        yield path, lambda: table.pop("enabled", None)
    batches = as_table(table.get("batch_writes"))
    if batches.get("enabled") is True and "__force_allow_embedded_batch_writes" not in batches:
        yield path, _setting(batches, __force_allow_embedded_batch_writes=True)


def _experiments(path: Path, table: Any) -> Iterator[Part]:  # noqa: ANN401 (any TOML value)
    """Yield a function's experiments that learn, its namespaces' too: they become static ones of the same variants."""
    experiment = as_table(table)
    if experiment.get("type") in ADAPTIVE and isinstance(experiment.get("candidate_variants"), list):
        static = {key: experiment[key] for key in ("candidate_variants", "fallback_variants") if key in experiment}
        spaces = {"namespaces": experiment["namespaces"]} if "namespaces" in experiment else {}
        yield path, _replacing(experiment, {"type": "static"} | static | spaces)
    for space, inner in as_table(experiment.get("namespaces")).items():
        yield from _experiments((*path, "namespaces", space), inner)


def _setting(table: Table, **values: object) -> Callable[[], None]:
    return lambda: table.update(values)


def _replacing(table: Table, new: Table) -> Callable[[], None]:
    def replace() -> None:
        table.clear()
        table.update(new)

    return replace
