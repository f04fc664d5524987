"""The functions of a project as rows: a function, and a mapping for each variant that has a model."""

from __future__ import annotations

from model_registry.entities.function import Function, FunctionDraft
from model_registry.entities.mapping import Mapping, MappingDraft
from model_registry.entities.provider_types import is_shorthand
from model_registry.gateways.tensorzero.importing.ledger import Ledger, Wanted
from model_registry.gateways.tensorzero.importing.model_rows import ModelIds
from model_registry.gateways.tensorzero.importing.sampling import Rank, Sampling, read_sampling, same_meaning
from model_registry.gateways.tensorzero.project import Project, Table

SERVICE = "tensorzero"
"""The service that imported functions belong to, unless the registry knows the function already."""


def used_shorthands(project: Project) -> dict[str, tuple[str, str]]:
    """The models that variants name without a table for them: name -> (provider type, model there)."""
    named = {v["model"] for f in project.table("functions").values() for v in f["variants"].values() if "model" in v}
    without_table = sorted(named - project.table("models").keys())
    return {name: shorthand for name in without_table if (shorthand := is_shorthand(name))}


def import_functions(project: Project, models: ModelIds, ledger: Ledger) -> None:
    """Plan the rows of every function of the project: all functions, then all mappings."""
    found: list[tuple[Function, Table, Sampling]] = []
    for name, table in project.table("functions").items():
        # Best-of-n and mixture-of-n have no model of their own.
        own = {key: variant for key, variant in table["variants"].items() if "model" not in variant}
        sampling = read_sampling(table, table["variants"].keys() - own.keys())
        found.append((_write_function(name, table, own, sampling, ledger), table, sampling))
    for function, table, sampling in found:
        _write_mappings(function, table, sampling, models, ledger)


def _write_function(name: str, table: Table, own: Table, sampling: Sampling, ledger: Ledger) -> Function:
    tensorzero = {key: table[key] for key in table if key not in {"type", "description", "variants", "experimentation"}}
    if sampling.raw is not None:
        tensorzero["experimentation"] = sampling.raw
    if own:
        # Their weights are in the experimentation now.
        tensorzero["variants"] = {
            key: {k: v for k, v in variant.items() if k != "weight"} for key, variant in own.items()
        }
    values: Table = {"type": table["type"], "tensorzero": tensorzero}
    if "description" in table or ledger.replace:
        values["description"] = table.get("description")
    old = next(iter(ledger.snapshot.functions.where("name", name)), None)
    key = (old.service_name, old.function_name) if old else _free_key(name, ledger)
    if old is None:
        values |= {"service_name": key[0], "function_name": key[1], "name": name}
    count = len(table["variants"])
    summary = f"{table['type']}, {count} variant{'' if count == 1 else 's'}"
    wanted = Wanted("functions", "function", name, ("functions", name), values, FunctionDraft, summary=summary)
    row_id = ledger.write(wanted, old)
    if sampling.normalised:
        ledger.note("normalised", "function", name, sampling.normalised)
    for variant in own:
        detail = "kept with its function: it has no model of its own"
        ledger.note("unchanged" if old else "created", "variant", f"{name}.{variant}", detail)
    return Function(id=row_id, service_name=key[0], function_name=key[1], name=name)


def _free_key(name: str, ledger: Ledger) -> tuple[str, str]:
    """Service and function name for a new function; the registry may have given the name to another one."""
    taken = ledger.snapshot.functions
    function_name, number = name, 2
    while taken.where("key", (SERVICE, function_name)):
        function_name, number = f"{name}-{number}", number + 1
    return SERVICE, function_name


def _write_mappings(function: Function, table: Table, sampling: Sampling, models: ModelIds, ledger: Ledger) -> None:
    rows = ledger.snapshot.mappings.where("function", (function.service_name, function.function_name))
    old = {row.variant_name: row for row in rows}
    ranks = _kept(sampling.ranks, old)
    for variant, (priority, weight) in ranks.items():
        said = table["variants"][variant]
        row = old.get(variant)
        model_id = models.ids[said["model"]]
        if row and row.model_id in models.rows and models.names[row.model_id] == models.names[model_id]:
            model_id = row.model_id  # any row of the routed model will do
        values = _mapping_values(function, variant, said)
        values |= {"model_id": model_id, "priority": priority, "weight": weight}
        if ledger.replace:
            values["fallback_model_id"] = None
        summary = f"{said['model']}, priority {priority}, weight {weight:g}"
        ledger.write(_wanted_mapping(function.name, values, models, summary), row)
    for variant in old.keys() & (table["variants"].keys() - ranks.keys()):
        name = f"{function.name}.{variant}"
        ledger.delete("service_model_mappings", old[variant], "variant", name, "has no model of its own any more")


def _kept(ranks: dict[str, Rank], old: dict[str, Mapping]) -> dict[str, Rank]:
    """The ranks as the registry has them where they say the same, so that 10, 20, 30 stays 10, 20, 30."""
    before = {name: (old[name].priority, old[name].weight) for name in ranks if name in old}
    return before if before.keys() == ranks.keys() and same_meaning(before, ranks) else ranks


def _mapping_values(function: Function, name: str, variant: Table) -> Table:
    extras = {key: value for key, value in variant.items() if key not in {"model", "weight"}}
    if extras["type"] == "chat_completion":
        del extras["type"]
    key = {"service_name": function.service_name, "function_name": function.function_name}
    return {**key, "variant_name": name, "tensorzero": extras}


def _wanted_mapping(function: str, values: Table, models: ModelIds, summary: str) -> Wanted:
    name = values["variant_name"]
    return Wanted(
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
