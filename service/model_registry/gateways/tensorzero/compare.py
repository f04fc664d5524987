"""Compares the meaning of two gateway configurations. Pure.

Every equivalence is listed here with its reason; all else is a difference: a lost key, an integer that became a float,
another order of a list, another content of a file. Reading and rendering are in their own packages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from model_registry.entities.model import Alias
from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.entities.server_address import spelled_url
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.project import (
    BASE_PATH,
    MODEL_TABLES,
    Path,
    Project,
    Table,
    as_table,
    as_text,
    below,
    dotted,
    put,
)
from model_registry.gateways.tensorzero.reading.file_references import file_references
from model_registry.gateways.tensorzero.rendering.function_tables import shares
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.gateways.tensorzero.rendering.routed_models import alias_target
from model_registry.snapshot.snapshot import Snapshot

Files = Mapping[str, str]
"""Path relative to the configuration -> content."""

_MISSING = object()
_STATIC = frozenset({"static", "static_weights", "uniform"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One key whose meaning differs."""

    where: str
    """The key, in TOML's notation."""
    one: Any
    """The first configuration's value; None when it has none."""
    other: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.one!r} -> {self.other!r}"


def compare(one: Table, one_files: Files, other: Table, other_files: Files) -> list[Difference]:
    """Return the differences in meaning of two configurations, each with its referenced files.

    Args:
        one: the tables of the first. They must be valid: a refused configuration has no meaning.
        one_files: its files, by the paths that it references.
        other: the tables of the second.
        other_files: its files.
    """
    return list(differences((), meaning(one, one_files), meaning(other, other_files)))


def differences(path: Path, one: Any, other: Any) -> Iterator[Difference]:  # noqa: ANN401 (any TOML value)
    """Yield the differences of two values below a key, as `meaning` has them."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted(one.keys() | other.keys()):
            yield from differences((*path, key), one.get(key, _MISSING), other.get(key, _MISSING))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences((*path, str(index)), left, right)
    elif not _same(one, other):
        yield Difference(dotted(path), _shown(one), _shown(other))


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 (any TOML value)
    """Whether the gateway treats values as equal: 1, 1.0 and true differ; 0.0 and -0.0 do not."""
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return type(one) is type(other) and (one == other or both_nan)


def _shown(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    return None if value is _MISSING else value


def meaning(tree: Table, files: Files) -> Table:
    """Normalise a configuration: fill in defaults, replace deprecated syntax, and put file contents for paths."""
    full: Table = _contents(tree, files)
    defaults = {
        name: as_table(as_table(kind).get("defaults")) for name, kind in as_table(full.get("provider_types")).items()
    }
    for section in MODEL_TABLES:
        for model in as_table(full.get(section)).values():
            for provider in as_table(model.get("providers")).values():
                _fill_provider(provider, defaults)
    for function in as_table(full.get("functions")).values():
        _fill_function(function)
    for evaluation in as_table(full.get("evaluations")).values():
        if evaluation.get("type") == "static":
            evaluation["type"] = "inference"  # deprecated name
    _move_migrations(full)
    # An empty table of models or functions equals a missing one.
    return {name: table for name, table in full.items() if table or name not in {*MODEL_TABLES, "functions"}}


def _contents(tree: Table, files: Files) -> Table:
    """Copy the tree with file contents in place of paths: file names have no meaning."""
    copied: Table = _copied(tree)
    for path, value in list(file_references(copied)):
        if path == BASE_PATH:
            start = 0 if value == "." else len(value) + 1
            put(copied, path, {name[start:]: files[name] for name in below(files, value) if name != CONFIG_FILE})
        else:
            put(copied, path, {"content": files.get(value)})
    return copied


def _copied(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
        case date() | time():
            return as_text(value)  # as the gateway reads dates and times
    return value


def _fill_provider(provider: Table, defaults: Mapping[str, Table]) -> None:
    kind = GATEWAY_TYPES.get(str(provider.get("type")))
    if kind is None:
        return
    base = provider.get(kind.base_key) if kind.base_key else None
    if kind.base_key and (base or kind.home) and isinstance(base or "", str):
        # The gateway makes the same requests with or without the slash, and to every spelling of an address.
        base = (base or kind.home).rstrip("/")
        provider[kind.base_key] = spelled_url(base.removesuffix("/messages") if kind.name == "anthropic" else base)
    credential = kind.credential
    if credential and credential.variable and credential.key not in provider:
        default = f"{credential.scheme}{credential.variable}"
        provider[credential.key] = defaults.get(kind.name, {}).get(credential.key, default)
    if provider.get("allow_auto_detect_region") is True and provider.get("region", "sdk") == "sdk":
        del provider["allow_auto_detect_region"]
        provider["region"] = "sdk"  # deprecated syntax for it


def _fill_function(function: Table) -> None:
    variants = as_table(function.get("variants"))
    _hand_down_timeouts(variants)
    weights = {name: variant.pop("weight") for name, variant in variants.items() if "weight" in variant}
    sampling = as_table(function.get("experimentation"))
    if not sampling and weights:
        candidates = {name: weight for name, weight in weights.items() if weight > 0}
        fallbacks = [name for name in variants if name not in weights]
        # If all weights are zero, all variants are equally likely.
        sampling = {"candidate_variants": candidates, "fallback_variants": fallbacks} if candidates or fallbacks else {}
        sampling |= {"type": "static"} if sampling else {}
    function["experimentation"] = _sampling(sampling, variants)


def _sampling(sampling: Table, variants: Table) -> Table:
    """Normalise an experimentation to its candidates with weights and its fallbacks in order."""
    if not sampling:
        return {"candidates": dict.fromkeys(variants, 1.0), "fallbacks": [], "namespaces": {}}
    spaces = {
        name: _sampling(as_table(space), variants) for name, space in as_table(sampling.get("namespaces")).items()
    }
    if sampling.get("type") not in _STATIC:
        kind = "adaptive" if sampling.get("type") == "track_and_stop" else sampling.get("type")
        kept = {key: value for key, value in sampling.items() if key != "namespaces"}
        return kept | {"type": kind, "algorithm": sampling.get("algorithm", "track_and_stop"), "namespaces": spaces}
    lists = [sampling.get("candidate_variants"), sampling.get("fallback_variants")]
    if sampling["type"] == "uniform" and lists == [None, None]:
        lists = [list(variants), []]
    candidates = lists[0] or {}
    if isinstance(candidates, list):
        candidates = dict.fromkeys(candidates, 1.0)
    weights = {name: float(weight) for name, weight in candidates.items()}
    alone = not lists[1] and not spaces
    return {"candidates": shares(weights) if alone else weights, "fallbacks": lists[1] or [], "namespaces": spaces}


def _hand_down_timeouts(variants: Table) -> None:
    """Turn `timeout_s` of a variant with candidates into their `timeouts`, as the gateway does."""
    for variant in variants.values():
        if "timeout_s" in variant and "candidates" in variant:
            total = int(variant.pop("timeout_s") * 1000)
            for name in variant["candidates"]:
                timeouts = {"non_streaming": {"total_ms": total}, "streaming": {"ttft_ms": total}}
                variants[name].setdefault("timeouts", timeouts)


def _move_migrations(tree: Table) -> None:
    observability = as_table(as_table(tree.get("gateway")).get("observability"))
    if observability.get("disable_automatic_migrations") is True:
        del observability["disable_automatic_migrations"]
        tree["clickhouse"] = as_table(tree.get("clickhouse")) | {"disable_automatic_migrations": True}


def refuse_losses(project: Project, after: Snapshot, *, exact: bool) -> None:
    """Refuse an import after which the registry would not render the project.

    Args:
        project: what is imported.
        after: the registry with it.
        exact: whether the registry may say no more than the project.

    Raises:
        InvalidConfiguration: with every key that would change.
    """
    files = {file.path: file.content for file in after.files}
    imported, rendered = project.tree, configuration_tree(after)
    if not exact:
        files = {path: content for path, content in files.items() if path in project.files}
        imported, rendered = _common(imported, rendered)
    names = {alias.alias: target for alias in after.aliases if (target := _target(after, alias))}
    if lost := compare(_named(imported, names), project.files, _named(rendered, names), files):
        reasons = [Reason(f.where, f"would become {f.other!r}; the project says {f.one!r}") for f in lost]
        raise InvalidConfiguration(
            f"The import is refused, because the registry could not keep all of it: {reasons[0]}", reasons=reasons
        )


def _target(after: Snapshot, alias: Alias) -> str | None:
    """Return the model that a variant is rendered with when it names this alias."""
    target = alias_target(after, alias)
    return target[1].name if target and target[0] == "models" and not after.models.where("name", alias.alias) else None


def _named(tree: Table, names: Mapping[str, str]) -> Table:
    """Replace aliases in variants by the models' own names: an alias is the same table once more."""
    if not names or "functions" not in tree:
        return tree
    functions = {}
    for key, function in tree["functions"].items():
        variants = {
            name: variant | {"model": names.get(variant["model"], variant["model"])} if "model" in variant else variant
            for name, variant in function["variants"].items()
        }
        functions[key] = function | {"variants": variants}
    return tree | {"functions": functions}


def _common(imported: Table, rendered: Table) -> tuple[Table, Table]:
    """Return both without the rows that only the registry has."""
    one, other = dict(imported), {name: rendered[name] for name in rendered if name in imported}
    for name, table in imported.items():
        if not isinstance(other.get(name), Mapping):
            continue
        other[name] = {key: other[name][key] for key in other[name] if key in table}
        one[name] = dict(table)
        for key in other[name]:
            if name in MODEL_TABLES:
                other[name][key] = _without_others(table[key], other[name][key])
            elif name == "functions":
                one[name][key], other[name][key] = _common_function(table[key], other[name][key])
    return one, other


def _without_others(imported: Table, model: Table) -> Table:
    """Return a model without the registry's providers that come behind the project's."""
    own = imported["providers"]
    routing = [key for key in model["routing"] if key in own]
    return model | {"routing": routing, "providers": {key: model["providers"][key] for key in routing}}


def _common_function(imported: Table, function: Table) -> tuple[Table, Table]:
    imported, function = dict(imported), dict(function)
    if "description" not in imported:
        function.pop("description", None)
    more: Any = function["variants"].keys() - imported["variants"].keys()
    if more:
        # They share the calls with the project's variants, so weights cannot be compared.
        function["variants"] = {key: v for key, v in function["variants"].items() if key not in more}
        for table in (imported, function):
            table.pop("experimentation", None)
        imported["variants"] = {
            name: {key: value for key, value in variant.items() if key != "weight"}
            for name, variant in imported["variants"].items()
        }
    return imported, function
