"""Rewrites old syntax that today's gateway refuses, where the meaning is plain: `import --upgrade`. Pure.

What the gateway still accepts is replaced by every import, in `rules/deprecated.py`. Whatever a person has to decide
stays as it is, and is refused with what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from model_registry.gateways.tensorzero.project import MODEL_TABLES, Table, as_table, dotted
from model_registry.gateways.tensorzero.rules.deprecated import Rewrite, tables
from model_registry.gateways.tensorzero.rules.functions import NEED_JSON_MODE

_OF_N = "experimental_best_of_n"
_SCHEMES = ("env", "path", "path_from_env", "dynamic")
_DATABASE_URLS = ("url", "database")

INCLUDES = (
    "gateway.enable_template_filesystem_access",
    'true -> template_filesystem_access.base_path = ".", the directory of this file',
)
"""The change that lets templates include from a directory that nobody named: only what they do include is imported."""


def upgraded(trees: Mapping[str, Table]) -> list[Rewrite]:
    """Upgrade the tables of a project's TOML files in place, and return each change: the key, and what became of it."""
    is_json = {
        name for tree in trees.values() for path, f in tables(tree, "functions", "*") if f.get("type") == "json"
        for name in path[1:]
    }  # fmt: skip
    return [change for tree in trees.values() for rewrite in _REWRITES for change in rewrite(tree, is_json)]


def _json_modes(tree: Table, is_json: set[str]) -> Iterator[Rewrite]:
    """Variants of json functions had a JSON mode by default."""
    for path, variant in tables(tree, "functions", "*", "variants", "*"):
        kind = variant.get("type")
        if path[1] in is_json and isinstance(kind, str) and kind in NEED_JSON_MODE:
            inner = NEED_JSON_MODE[kind]
            table, where = (variant.get(inner), (*path, inner)) if inner else (variant, path)
            if isinstance(table, dict) and "json_mode" not in table:
                table["json_mode"] = "strict"
                yield dotted((*where, "json_mode")), 'left out -> "strict", the old default'


def _functions(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    for path, function in tables(tree, "functions", "*"):
        if function.get("tool_choice") == "off":
            function["tool_choice"] = "none"
            yield dotted((*path, "tool_choice")), "off -> none"
    evaluators = [(owner, "*", "evaluators", "*", "variants", "*") for owner in ("functions", "evaluations")]
    for pattern in (("functions", "*", "variants", "*"), *evaluators):
        for path, variant in tables(tree, *pattern):
            if variant.get("type") == _OF_N:
                variant["type"] = f"{_OF_N}_sampling"
                yield dotted((*path, "type")), f"{_OF_N} -> {_OF_N}_sampling"
            examples = variant.get("type") == "experimental_dynamic_in_context_learning"
            if examples and "cutoff" in variant and "max_distance" not in variant:
                variant["max_distance"] = variant.pop("cutoff")
                yield dotted((*path, "cutoff")), "cutoff -> max_distance"


def _evaluations(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    if isinstance(tree.get("evals"), dict) and "evaluations" not in tree:
        tree["evaluations"] = tree.pop("evals")
        yield "evals", "evals -> evaluations"
    for path, evaluation in tables(tree, "evaluations", "*"):
        if "dataset_name" in evaluation:
            del evaluation["dataset_name"]
            yield dotted((*path, "dataset_name")), "left out; who runs the evaluation names the data set"
        if "type" not in evaluation and "function_name" in evaluation:
            evaluation["type"] = "inference"
            yield dotted((*path, "type")), 'left out -> "inference"'


def _gateway(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    gateway = as_table(tree.get("gateway"))
    key = "disable_observability"
    observability = gateway.get("observability", {})
    if isinstance(gateway.get(key), bool) and isinstance(observability, dict) and "enabled" not in observability:
        if gateway.pop(key):
            gateway["observability"] = observability | {"enabled": False}
            yield f"gateway.{key}", "true -> observability.enabled = false"
        else:
            yield f"gateway.{key}", "false left out; observability is on where there is a database"
    key, access = "enable_template_filesystem_access", gateway.get("template_filesystem_access", {})
    if isinstance(gateway.get(key), bool) and isinstance(access, dict):
        if gateway.pop(key) and "base_path" not in access:
            gateway["template_filesystem_access"] = access | {"base_path": "."}
            yield INCLUDES
        else:
            yield f"gateway.{key}", "left out; template_filesystem_access.base_path alone decides"
    for path, table in tables(tree, "gateway", "observability"):
        if "skip_completed_migrations" in table:
            del table["skip_completed_migrations"]
            yield dotted((*path, "skip_completed_migrations")), "left out; the gateway does so anyway"
        if as_table(table.get("batch_writes")).get("enabled") is True and "async_writes" not in table:
            table["async_writes"] = False
            yield dotted((*path, "async_writes")), "left out -> false: it became the default, and excludes batch_writes"


def _clickhouse(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    for path, table in tables(tree, "clickhouse"):
        for key in _DATABASE_URLS:
            if key in table:
                del table[key]  # without its value in the report: there may be a password in it
                yield dotted((*path, key)), "left out; the gateway reads TENSORZERO_CLICKHOUSE_URL instead: set that"


def _providers(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    for section in MODEL_TABLES:
        for path, table in tables(tree, section, "*", "providers", "*"):
            is_aws = str(table.get("type")) in {"aws_bedrock", "aws_sagemaker"}
            if is_aws and "region" not in table and table.get("allow_auto_detect_region") is not True:
                table["region"] = "sdk"
                yield dotted((*path, "region")), 'left out -> "sdk": the region of the machine\'s AWS settings'
            place = table.get("api_key_location")
            if isinstance(place, dict) and len(place) == 1:
                ((scheme, name),) = place.items()
                if scheme in _SCHEMES and isinstance(name, str):
                    table["api_key_location"] = f"{scheme}::{name}"
                    yield dotted((*path, "api_key_location")), f"{{{scheme} = ...}} -> {scheme}::..."


def _embedding_timeouts(tree: Table, _: set[str]) -> Iterator[Rewrite]:
    for pattern in (("embedding_models", "*"), ("embedding_models", "*", "providers", "*")):
        for path, table in tables(tree, *pattern):
            total = as_table(as_table(table.get("timeouts")).get("non_streaming")).get("total_ms")
            if total is not None and "timeout_ms" not in table:
                del table["timeouts"]
                table["timeout_ms"] = total
                yield dotted((*path, "timeouts")), "timeouts.non_streaming.total_ms -> timeout_ms"


_REWRITES: tuple[Callable[[Table, set[str]], Iterator[Rewrite]], ...] = (
    _functions,  # before the JSON modes: it renames types
    _json_modes,
    _evaluations,
    _gateway,
    _clickhouse,
    _providers,
    _embedding_timeouts,
)
