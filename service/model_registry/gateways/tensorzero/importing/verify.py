"""The last look before an import is written: what the registry would render must mean what the project says.

Anything that would be lost or changed is an error here, whoever is to blame for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_registry.entities.alias import Alias
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.tensorzero.compare import compare
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Project, Table
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.gateways.tensorzero.rendering.routed_models import alias_target
from model_registry.snapshot.snapshot import Snapshot


def refuse_losses(project: Project, after: Snapshot, *, exact: bool) -> None:
    """Refuse an import after which the registry would not render the project.

    Args:
        project: what is imported.
        after: the registry with it.
        exact: whether the registry may say no more than the project.

    Raises:
        InvalidConfiguration: with every place that would be another one.
    """
    files = {file.path: file.content for file in after.files}
    said, rendered = project.tree, configuration_tree(after)
    if not exact:
        files = {path: content for path, content in files.items() if path in project.files}
        said, rendered = _common(said, rendered)
    names = {alias.alias: target for alias in after.aliases if (target := _target(after, alias))}
    if lost := compare(_named(said, names), project.files, _named(rendered, names), files):
        reasons = [Reason(f.where, f"would become {f.other!r}; the project says {f.one!r}") for f in lost]
        raise InvalidConfiguration(
            f"The import is refused, because the registry could not keep all of it: {reasons[0]}", reasons=reasons
        )


def _target(after: Snapshot, alias: Alias) -> str | None:
    """The model that a variant is rendered with when it names this alias."""
    found = alias_target(after, alias)
    return found[1].name if found and found[0] == "models" and not after.models.where("name", alias.alias) else None


def _named(tree: Table, names: Mapping[str, str]) -> Table:
    """The tree with models named by their own names: an alias is the same table once more."""
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


def _common(said: Table, rendered: Table) -> tuple[Table, Table]:
    """Both without what the registry has beyond the project."""
    one, other = dict(said), {name: rendered[name] for name in rendered if name in said}
    for name, table in said.items():
        if not isinstance(other.get(name), Mapping) or name in {"gateway", "rate_limiting", "object_storage"}:
            continue
        other[name] = {key: other[name][key] for key in other[name] if key in table}
        one[name] = dict(table)
        for key in other[name]:
            if name in MODEL_TABLES:
                other[name][key] = _without_others(table[key], other[name][key])
            elif name == "functions":
                one[name][key], other[name][key] = _common_function(table[key], other[name][key])
    return one, other


def _without_others(said: Table, model: Table) -> Table:
    """A model without the providers of the registry that come behind the project's."""
    own = said["providers"]
    routing = [key for key in model["routing"] if key in own]
    return model | {"routing": routing, "providers": {key: model["providers"][key] for key in routing}}


def _common_function(said: Table, function: Table) -> tuple[Table, Table]:
    said, function = dict(said), dict(function)
    if "description" not in said:
        function.pop("description", None)
    more: Any = function["variants"].keys() - said["variants"].keys()
    if more:
        # They share the calls with the project's: nobody can say that it is the same.
        function["variants"] = {key: v for key, v in function["variants"].items() if key not in more}
        for table in (said, function):
            table.pop("experimentation", None)
        said["variants"] = {
            name: {key: value for key, value in variant.items() if key != "weight"}
            for name, variant in said["variants"].items()
        }
    return said, function
