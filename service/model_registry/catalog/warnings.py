"""What a write says that is taken, or is passed over, and may not be what its author means. Errors are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, create_model

from model_registry.catalog.resources import Resource
from model_registry.catalog.views import View
from model_registry.entities.change import Operation
from model_registry.entities.model import CAPABILITIES, canonical
from model_registry.entities.server_address import is_unspecified
from model_registry.entities.spelling import nearest, suggestion
from model_registry.snapshot.lookup import model_label, named
from model_registry.snapshot.snapshot import Snapshot

WARNINGS = "warnings"
"""The key of an answer to a write, only there where it has any."""
Warnings = Annotated[list[str], Field(description="What may not be meant so; left out if there is nothing.")]

_MOST = 20
MAPPING = "mapping_id"
"""What a model's row has as a service's model, with the mapping's own fields."""
OF_WRITES = frozenset({WARNINGS, "publication"})
"""What answers to writes have beside the row."""
_FOLLOWS = OF_WRITES | {
    *("id", "version", "created_at", "updated_at", "offered", "supports", "field_sources"),
    *("deployed", "deployments", "reason"),
}
"""Fields of our answers that change with others: an older answer that comes back has older values."""


def with_warnings(resource: Resource) -> Any:  # noqa: ANN401 (a type made here)
    """Return the documented shape of an answer to a write."""
    fields: dict[str, Any] = {WARNINGS: (Warnings, [])}
    name, about = resource.body.__name__.removesuffix("Body"), f"{resource.one.capitalize()} as written."
    return create_model(f"Written{name}", __base__=resource.view_shape, __doc__=about, **fields)


def warnings_of(resource: Resource, snapshot: Snapshot, given: Mapping[str, Any], view: View) -> list[str]:
    """Return the warnings about the JSON of a write, given the row that it made."""
    return _bounded(
        [
            *_capabilities(snapshot, given, view),
            *_own_names(view),
            *_hidden(snapshot, view),
            *_unreachable(given),
            *_missing(snapshot, view),
            *_passed_over(resource, given, _of_mapping(snapshot, given) | view),
        ]
    )


def import_warnings(operations: Iterable[Operation]) -> list[str]:
    """Return the warnings about the models that an import writes: capabilities that look misspelt."""
    rows = (operation.row or {} for operation in operations if operation.table == "models")
    tags = sorted({tag for row in rows for tag in row.get("capabilities") or ()})
    return _bounded(_unknown(tag) for tag in tags if _is_misspelt(tag))


def _bounded(warnings: Iterable[str]) -> list[str]:
    found = list(warnings)
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more"]


def _unknown(tag: str) -> str:
    meant = suggestion(canonical(tag), sorted(CAPABILITIES))
    return f"capabilities: {tag!r} is no known capability, and is kept as it is; {meant}"


def _is_misspelt(tag: str) -> bool:
    name = canonical(tag)
    return name not in CAPABILITIES and nearest(name, CAPABILITIES) is not None


def _capabilities(snapshot: Snapshot, given: Mapping[str, Any], view: View) -> Iterator[str]:
    """Warn of capabilities that are near a known one, and of those that no other model has."""
    for tag in view.get("capabilities", ()) if "capabilities" in given else ():
        if _is_misspelt(tag) or not (canonical(tag) in CAPABILITIES or _is_used(snapshot, tag, view["id"])):
            yield _unknown(tag)


def _is_used(snapshot: Snapshot, tag: str, but_by: str) -> bool:
    return any(canonical(tag) in map(canonical, m.capabilities) for m in snapshot.models if m.id != but_by)


def _own_names(view: View) -> Iterator[str]:
    """Warn of what leads to itself: a mapping's fallback, and an alias whose model was given its name."""
    if view.get("fallback_model_id") is not None and view["fallback_model_id"] == view["model_id"]:
        yield "fallback_model_id: is the mapping's own model, and so no fallback"
    if any(alias["alias"] == view["name"] for alias in view.get("aliases", ())):
        yield f"name: {view['name']!r} is an alias of this model too, which is of no use any more; delete the alias"


def _hidden(snapshot: Snapshot, view: View) -> Iterator[str]:
    """Warn of an alias that means another model to the registry: names, and providers' names, count more."""
    found = named(snapshot, view["alias"]) if "alias" in view else []
    if found and [model.id for model in found] != [view["model_id"]]:
        label = model_label(snapshot, found[0])
        yield f"alias: names count more, and {view['alias']!r} is one of {label}; choose another alias"


def _unreachable(given: Mapping[str, Any]) -> Iterator[str]:
    """Warn of a server at every address of a machine, which is what it listens on."""
    if is_unspecified(str(given.get("api_base") or "")):
        yield (
            "api_base: is every address of a machine, on which a server listens; write the name by which gateways "
            "reach it, such as localhost where they run on that machine"
        )


def _missing(snapshot: Snapshot, view: View) -> Iterator[str]:
    """Warn of models that their source lists no more: a mapping's, an alias's, or the model itself."""
    if view.get("missing_since") is not None:
        yield f"missing_since: no source lists this model since {view['missing_since'][:19]}"
    for field in ("model_id", "fallback_model_id"):
        model = snapshot.models.get(view.get(field))
        if model is not None and model.missing_since is not None:
            label = model_label(snapshot, model)
            yield f"{field}: no source lists {label} since {model.missing_since[:19]}; it may be gone"


def _of_mapping(snapshot: Snapshot, given: Mapping[str, Any]) -> View:
    """The fields that a service's row of a model has from its mapping."""
    mapping = snapshot.mappings.get(given[MAPPING]) if isinstance(given.get(MAPPING), str) else None
    return {MAPPING: mapping.id, **mapping.model_dump(exclude={"id"})} if mapping else {}


def _passed_over(resource: Resource, given: Mapping[str, Any], view: View) -> Iterator[str]:
    """Warn of fields that our answers have and writes do not, where the row does not have their value."""
    for name, value in given.items():
        if name not in resource.body.model_fields and name not in _FOLLOWS and value != view.get(name):
            yield f"{name}: is shown with {resource.one}, and not written with it; passed over"
