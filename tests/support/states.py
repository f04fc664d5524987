"""Whole states of the configuration, drawn by hypothesis: few ids and few names, so that rows conflict."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hypothesis import strategies as st

from model_registry.snapshot.difference import TABLES, columns
from model_registry.snapshot.snapshot import Snapshot

Rows = list[dict[str, Any]]

EXTRAS = st.sampled_from([{}, {"x": 1}, {"x": 1.0}, {"x": True}, {"x": [0, {"y": None}]}])
"""Includes values that are equal in Python but not in a configuration."""


def row_id(table: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"{table}/{number}"))


def state(tables: dict[str, Rows]) -> Snapshot:
    return Snapshot.from_document({"registry_id": "drawn", "revision": 0, "tables": tables})


def content(snapshot: Snapshot) -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of the configuration by table and id, without version and times."""
    return {table: {row.id: columns(row) for row in snapshot.tables[table]} for table in TABLES}


def shown(snapshot: Snapshot) -> str:
    """The same as text, in which 1, 1.0 and true differ."""
    return repr([(t, sorted((i, sorted(c.items())) for i, c in rows.items())) for t, rows in content(snapshot).items()])


def _rows(draw: st.DrawFn, table: str, keys: Rows) -> Rows:
    ids = draw(st.permutations([row_id(table, number) for number in range(4)]))
    return [{"id": found, **key} for found, key in zip(ids, keys, strict=False)]


def _named(draw: st.DrawFn, table: str, column: str, **extra: st.SearchStrategy[Any]) -> Rows:
    names = draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3))
    return _rows(draw, table, [{column: name, **{k: draw(s) for k, s in extra.items()}} for name in names])


@st.composite
def states(draw: st.DrawFn) -> Snapshot:
    """A state that satisfies every constraint of the database."""
    base = st.sampled_from(["http://one.example/v1", "http://two.example/v1"])
    providers = _named(
        draw,
        "model_providers",
        "name",
        type=st.just("openai_compatible"),
        api_base=base,
        tensorzero=EXTRAS,
        route_by=st.sampled_from([None, "deployments"]),
    )
    models = _models(draw, providers)
    functions = _functions(draw)
    tables = {
        "model_providers": providers,
        "models": models,
        "model_aliases": _aliases(draw, models),
        "functions": functions,
        "service_model_mappings": _mappings(draw, functions, models),
        "config_sections": _named(draw, "config_sections", "name", value=EXTRAS),
        "config_files": _named(draw, "config_files", "path", content=st.sampled_from(["", "one\n", "two"])),
    }
    return state(tables)


def _models(draw: st.DrawFn, providers: Rows) -> Rows:
    if not providers:
        return []
    keys = draw(st.lists(st.tuples(st.sampled_from(providers), st.sampled_from("mn")), max_size=4, unique_by=_pair))
    said = st.sampled_from(["says", "told"])
    return _rows(
        draw,
        "models",
        [{"provider_id": p["id"], "name": n, "model_id": draw(said), "tensorzero": draw(EXTRAS)} for p, n in keys],
    )


def _aliases(draw: st.DrawFn, models: Rows) -> Rows:
    if not models:
        return []
    keys = draw(st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from([None, "c"])), max_size=3, unique=True))
    to = st.sampled_from([model["id"] for model in models])
    return _rows(draw, "model_aliases", [{"alias": a, "context": c, "model_id": draw(to)} for a, c in keys])


def _functions(draw: st.DrawFn) -> Rows:
    keys = st.tuples(st.sampled_from("st"), st.sampled_from("fg"), st.sampled_from("kl"))
    drawn = draw(st.lists(keys, max_size=3, unique_by=(lambda k: k[:2], lambda k: k[2])))
    return _rows(draw, "functions", [{"service_name": s, "function_name": f, "name": n} for s, f, n in drawn])


def _mappings(draw: st.DrawFn, functions: Rows, models: Rows) -> Rows:
    if not functions or not models:
        return []
    keys = st.tuples(st.sampled_from(functions), st.sampled_from("vw"))
    to = st.sampled_from([model["id"] for model in models])
    return _rows(
        draw,
        "service_model_mappings",
        [
            {
                "service_name": f["service_name"],
                "function_name": f["function_name"],
                "variant_name": v,
                "model_id": draw(to),
                "fallback_model_id": draw(st.none() | to),
                "weight": draw(st.sampled_from([0.5, 1.0])),
                "tensorzero": draw(EXTRAS),
            }
            for f, v in draw(st.lists(keys, max_size=4, unique_by=_pair))
        ],
    )


def _pair(key: tuple[dict[str, Any], str]) -> tuple[str, str]:
    return key[0]["id"], key[1]
