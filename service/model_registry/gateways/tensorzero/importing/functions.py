"""Plans the functions of a project as rows: a function, and a mapping for each variant that has a model.

In the registry, variants share a function's calls by priority and weight. The gateway's meaning, from its
experimentation module: candidates are drawn by weight; when none is left, the fallbacks follow in their order; a
variant that is neither is never drawn. Old projects put a `weight` on each variant: above 0 a candidate, none a
fallback, 0 neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model_registry.entities.function import Function, FunctionDraft, Mapping, MappingDraft
from model_registry.entities.provider_types import is_shorthand, is_test_model
from model_registry.gateways.tensorzero.importing.other_models import ModelIds
from model_registry.gateways.tensorzero.importing.settling import Settled
from model_registry.gateways.tensorzero.project import Project, Table
from model_registry.gateways.tensorzero.rendering.function_tables import shares
from model_registry.gateways.tensorzero.rules.doubts import OF_TEST_MODEL
from model_registry.imports.plan import Planner, WantedRow
from model_registry.imports.projects import Destination, read_owners, written_owners
from model_registry.snapshot.snapshot import Snapshot

Rank = tuple[int, float]
"""Priority (lower first) and weight."""

_ALIKE: Rank = (1, 1.0)
_BY_LISTS = {"static", "static_weights", "uniform"}
_STATIC_KEYS = {"type", "candidate_variants", "fallback_variants"}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a function samples its variants."""

    ranks: dict[str, Rank]
    """Of each variant that becomes a mapping; the nearest equivalent where `raw` is set."""
    raw: Table | None = None
    """The function's `experimentation`, where priorities and weights cannot express it."""
    normalised: str = ""
    """For the report: how the project's sampling is rewritten."""


def used_shorthands(project: Project) -> dict[str, tuple[str, str]]:
    """Find the models without a table that variants name: name -> (provider type, model there)."""
    named = {v["model"] for f in project.table("functions").values() for v in f["variants"].values() if "model" in v}
    without_table = sorted(named - project.table("models").keys())
    return {name: shorthand for name in without_table if (shorthand := is_shorthand(name))}


def _is_mapped(variant: Table, project: Project) -> bool:
    """Whether a variant becomes a mapping, by which a service finds its model.

    Best-of-n and mixture-of-n have no model of their own; a test model is none that a service should find.
    """
    model = variant.get("model")
    return model is not None and (model in project.table("models") or not is_test_model(model))


@dataclass(frozen=True, slots=True)
class _Import:
    """One import of functions."""

    settled: Settled
    planner: Planner
    whole: Snapshot
    """The registry with what belongs to other gateways."""
    gateway: str

    def marks(self, name: str) -> Callable[[Function | None], Table]:
        """Return what says whose a function is."""

        def marks(old: Function | None) -> Table:
            owners = self.settled.owners(("functions", name), read_owners(old.project if old else None))
            text = written_owners(owners)
            return {} if old and old.project == text else {"project": text}

        return marks


def import_functions(settled: Settled, models: ModelIds, planner: Planner, whole: Snapshot, into: Destination) -> None:
    """Plan the rows of every function of the project: all functions, then all mappings."""
    here, project = _Import(settled, planner, whole, into.gateway), settled.project
    functions: list[tuple[Function, Table, Sampling]] = []
    for name, table in project.table("functions").items():
        own = {key: variant for key, variant in table["variants"].items() if not _is_mapped(variant, project)}
        sampling = _read_sampling(table, table["variants"].keys() - own.keys())
        functions.append((_write_function(name, table, own, sampling, here), table, sampling))
    for name in sorted(name for section, name in settled.shared if section == "functions"):
        (row,) = planner.snapshot.functions.where("name", name)
        planner.upsert(WantedRow("functions", "function", name, {}, marks=here.marks(name)), row)
    for function, table, sampling in functions:
        _write_mappings(function, table, sampling, models, here)
    _move_mappings(models, here)


def _move_mappings(models: ModelIds, here: _Import) -> None:
    """Let the mappings of others, of any gateway, follow a model that the project has taken over."""
    for old_id, new_id in models.instead.items():
        for mapping in here.whole.mappings.where("model", old_id):
            (function,) = here.whole.functions.where("key", (mapping.service_name, mapping.function_name))
            ours = function.gateway == here.gateway and read_owners(function.project) == here.settled.me
            if not here.planner.writes(mapping) and not (ours and here.planner.replace):
                move_mapping(here.planner, mapping, old_id, new_id, models.names[new_id])


def move_mapping(planner: Planner, mapping: Mapping, old_id: str, new_id: str, model: str) -> None:
    """Plan that a mapping refers to another row of the same routed model."""
    columns = ("model_id", "fallback_model_id")
    values = {column: new_id for column in columns if getattr(mapping, column) == old_id}
    names = {old_id: "a row that goes", new_id: model}

    def shown(_: str, value: str) -> str:
        return names.get(value, value)

    name = f"{mapping.service_name}/{mapping.function_name}.{mapping.variant_name}"
    wanted = WantedRow("service_model_mappings", "variant", name, values, draft=MappingDraft, shown=shown)
    planner.upsert(wanted, mapping)
    planner.kept.discard(mapping.id)  # it is not the project's


def _write_function(name: str, table: Table, own: Table, sampling: Sampling, here: _Import) -> Function:
    planner = here.planner
    tensorzero = {key: table[key] for key in table if key not in {"type", "description", "variants", "experimentation"}}
    if sampling.raw is not None:
        tensorzero["experimentation"] = sampling.raw
    if own:
        # Their weights are in the experimentation now.
        tensorzero["variants"] = {
            key: {k: v for k, v in variant.items() if k != "weight"} for key, variant in own.items()
        }
    values: Table = {"type": table["type"], "tensorzero": tensorzero}
    if "description" in table or planner.replace:
        values["description"] = table.get("description")
    old = next(iter(planner.snapshot.functions.where("name", name)), None)
    key = (old.service_name, old.function_name) if old else _free_key(name, here)
    if old is None:
        values |= {"service_name": key[0], "function_name": key[1], "name": name, "gateway": here.gateway}
    count = len(table["variants"])
    summary = f"{table['type']}, {count} variant{'' if count == 1 else 's'}"
    path, marks = ("functions", name), here.marks(name)
    wanted = WantedRow("functions", "function", name, values, path, FunctionDraft, summary=summary, marks=marks)
    row_id = planner.upsert(wanted, old)
    if sampling.normalised:
        planner.note("normalised", "function", name, sampling.normalised)
    for variant in own:
        if model := own[variant].get("model"):
            planner.note("warning", "variant", f"{name}.{variant}", f"its model {model} {OF_TEST_MODEL}")
        detail = "kept with its function: it has no model that services could be routed to"
        planner.note("unchanged" if old else "created", "variant", f"{name}.{variant}", detail)
    return Function(id=row_id, service_name=key[0], function_name=key[1], name=name)


def _free_key(name: str, here: _Import) -> tuple[str, str]:
    """Find a free service and function name for a new function. The service is called like the gateway."""
    taken = here.whole.functions
    function_name, number = name, 2
    while taken.where("key", (here.gateway, function_name)):
        function_name, number = f"{name}-{number}", number + 1
    return here.gateway, function_name


def _write_mappings(function: Function, table: Table, sampling: Sampling, models: ModelIds, here: _Import) -> None:
    planner = here.planner
    rows = planner.snapshot.mappings.where("function", (function.service_name, function.function_name))
    old = {row.variant_name: row for row in rows}
    ranks = _kept(sampling.ranks, old)
    for variant, (priority, weight) in ranks.items():
        variant_table = table["variants"][variant]
        row = old.get(variant)
        model_id = models.ids[variant_table["model"]]
        if row and row.model_id in models.rows and models.names[row.model_id] == models.names[model_id]:
            model_id = row.model_id  # any row of the routed model will do
        values = _mapping_values(function, variant, variant_table)
        values |= {"model_id": model_id, "priority": priority, "weight": weight}
        if planner.replace:
            values["fallback_model_id"] = None
        summary = f"{variant_table['model']}, priority {priority}, weight {weight:g}"
        planner.upsert(_wanted_mapping(function.name, values, models, summary), row)
    gone = old.keys() & (table["variants"].keys() - ranks.keys())
    if ("functions", function.name) in here.settled.taken:
        gone |= old.keys() - ranks.keys()
    for variant in sorted(gone):
        name = f"{function.name}.{variant}"
        why = "has no model of its own any more" if variant in table["variants"] else "the project does not have it"
        planner.delete("service_model_mappings", old[variant], "variant", name, why, "changed")


def _kept(ranks: dict[str, Rank], old: dict[str, Mapping]) -> dict[str, Rank]:
    """Keep the registry's ranks where they mean the same, so that 10, 20, 30 stays 10, 20, 30."""
    before = {name: (old[name].priority, old[name].weight) for name in ranks if name in old}
    return before if before.keys() == ranks.keys() and _drawn(before) == _drawn(ranks) else ranks


def _mapping_values(function: Function, name: str, variant: Table) -> Table:
    extras = {key: value for key, value in variant.items() if key not in {"model", "weight"}}
    if extras["type"] == "chat_completion":
        del extras["type"]
    key = {"service_name": function.service_name, "function_name": function.function_name}
    return {**key, "variant_name": name, "tensorzero": extras}


def _wanted_mapping(function: str, values: Table, models: ModelIds, summary: str) -> WantedRow:
    name = values["variant_name"]
    return WantedRow(
        table="service_model_mappings",
        kind="variant",
        name=f"{function}.{name}",
        path=("functions", function, "variants", name),
        values=values,
        draft=MappingDraft,
        keys={"weight": ("weight",)},
        summary=summary,
        shown=lambda column, value: models.names.get(value, value) if column == "model_id" else value,
    )


def _read_sampling(function: Table, mapped: set[str]) -> Sampling:
    """Read how a function samples its variants, of which `mapped` become mappings."""
    variants: dict[str, Table] = function["variants"]
    experimentation = function.get("experimentation")
    if experimentation is None:
        weights = {name: variant["weight"] for name, variant in variants.items() if "weight" in variant}
        return _from_weights(variants, weights, mapped)
    kind = experimentation["type"]
    if kind == "uniform" and experimentation.keys() == {"type"}:
        return _all_alike(variants, mapped, "experimentation uniform -> all alike")
    if kind not in _BY_LISTS or not experimentation.keys() & {"candidate_variants", "fallback_variants"}:
        return Sampling({name: _ALIKE for name in variants if name in mapped}, raw=experimentation)
    words = f"experimentation {kind} -> static" if kind != "static" else ""
    return _from_lists(variants, mapped, {"candidate_variants": [], **experimentation, "type": "static"}, words)


def _from_weights(variants: dict[str, Table], weights: dict[str, float], mapped: set[str]) -> Sampling:
    if not weights:
        return _all_alike(variants, mapped)
    candidates = {name: float(weight) for name, weight in weights.items() if weight > 0}
    fallbacks = [name for name in variants if name not in weights]
    if not candidates and not fallbacks:
        return _all_alike(variants, mapped, "weights of nothing but 0 mean: all alike")
    words = "weight on variants -> experimentation"
    if len(fallbacks) > 1:
        words += "; those without a weight are fallbacks, in the order they are written"
    raw = {"type": "static", "candidate_variants": candidates, "fallback_variants": fallbacks}
    return _from_lists(variants, mapped, raw, words)


def _all_alike(variants: dict[str, Table], mapped: set[str], words: str = "") -> Sampling:
    """Give every variant the same chance; where some are no mappings, `experimentation` has to name all."""
    raw: Table | None = None
    if mapped and mapped != variants.keys():
        raw = {"type": "static", "candidate_variants": list(variants)}
        words = words or "no experimentation -> static, all variants alike"
    return Sampling({name: _ALIKE for name in variants if name in mapped}, raw, words)


def _from_lists(variants: dict[str, Table], mapped: set[str], lists: Table, words: str) -> Sampling:
    """Use priorities and weights where every variant is a mapping and can be drawn; else keep it raw."""
    candidates = _weights(lists["candidate_variants"])
    fallbacks: list[str] = lists.get("fallback_variants", [])
    ranks = {name: (1, weight) for name, weight in candidates.items()}
    ranks |= {name: (priority, 1.0) for priority, name in enumerate(fallbacks, 2)}
    # A variant that is neither comes last with weight 0: the nearest equivalent.
    nearest = {name: ranks.get(name, (len(fallbacks) + 2, 0.0)) for name in variants if name in mapped}
    if candidates and mapped == variants.keys() == ranks.keys() and not lists.keys() - _STATIC_KEYS:
        return Sampling(nearest, normalised=words)
    return Sampling(nearest, raw=lists, normalised=words)


def _weights(candidates: list[str] | dict[str, float]) -> dict[str, float]:
    if isinstance(candidates, list):
        return dict.fromkeys(candidates, 1.0)
    return {name: float(weight) for name, weight in candidates.items()}


def _drawn(ranks: dict[str, Rank]) -> tuple[dict[str, float], list[str]]:
    """Return what a ranking means: the candidates with their weights, and the fallbacks in order."""
    best = min((priority for priority, _ in ranks.values()), default=0)
    rest = sorted((priority, -weight, name) for name, (priority, weight) in ranks.items() if priority > best)
    candidates = {name: weight for name, (priority, weight) in ranks.items() if priority == best}
    return candidates if rest else shares(candidates), [name for _, _, name in rest]
