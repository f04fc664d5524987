"""The functions that programs of the original call (`schema/81_original.sql`), answered from the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from model_registry.catalog.rest_rows import service_models
from model_registry.catalog.views import View, is_offered
from model_registry.entities.spelling import suggestion
from model_registry.errors import Invalid, Reason
from model_registry.snapshot.snapshot import Snapshot

_OF_ALIAS = ("model_id", "model_name", "provider_name", "api_base")
_OF_SERVICE = ("model_id", "model_name", "variant_name", "priority", "weight", "fallback_model_id")
_MOST_FAULTS = 20
"""Of one call. Naming each takes time, and the caller chooses how many there are."""

Arguments = Mapping[str, str | None]


def _model_by_alias(snapshot: Snapshot, given: Arguments) -> list[View]:
    """The model of an alias: the one without a context first, then that of the context default, then any."""
    alias, context = given["p_alias"], given.get("p_context")
    found = [
        (row.context is not None, row.context != "default", row.context or "", model)
        for row in snapshot.aliases
        if row.alias == alias and (context is None or row.context == context)
        if (model := snapshot.models.get(row.model_id)) is not None and is_offered(snapshot, model)
    ]
    if not found:
        return []
    model = min(found, key=lambda each: each[:3])[3]
    provider = snapshot.providers[model.provider_id]
    return [dict(zip(_OF_ALIAS, (model.id, model.name, provider.name, provider.api_base), strict=True))]


def _service_models(snapshot: Snapshot, given: Arguments) -> list[View]:
    """The active models of a service, in the order in which they are to be tried."""
    service, function = given["p_service_name"], given.get("p_function_name")
    rows = [
        row
        for row in service_models(snapshot)
        if row["service_name"] == service and (function is None or row["function_name"] == function)
    ]
    rows.sort(key=lambda row: (row["priority"], -row["weight"], row["variant_name"]))
    return [{name: row["id" if name == "model_id" else name] for name in _OF_SERVICE} for row in rows]


@dataclass(frozen=True, slots=True)
class Function:
    """A function and its arguments, the first of which must be given."""

    rows: Callable[[Snapshot, Arguments], list[View]]
    arguments: tuple[str, ...]
    columns: tuple[str, ...]

    def checked(self, given: Sequence[tuple[str, object]]) -> Arguments:
        """Return the arguments of a call. Errors: Invalid, for one that is unknown, missing, twice or no text."""
        names = [name for name, _ in given]
        missing = [] if self.arguments[0] in names else [Reason(self.arguments[0], "is missing")]
        faults = (
            Reason(name, message)
            for name, value in given
            if (message := self._fault(name, value) or ("is given twice" if names.count(name) > 1 else None))
        )
        if wrong := list(islice(chain(missing, faults), _MOST_FAULTS)):
            raise Invalid("; ".join(map(str, wrong)) + ".", reasons=wrong)
        return {name: value for name, value in given if value is None or isinstance(value, str)}

    def _fault(self, name: str, value: object) -> str | None:
        if name not in self.arguments:
            return f"is no argument of this function, and no column; {suggestion(name, self.arguments)}"
        return None if value is None or isinstance(value, str) else "must be text"


FUNCTIONS: Mapping[str, Function] = {
    "get_model_by_alias": Function(_model_by_alias, ("p_alias", "p_context"), _OF_ALIAS),
    "get_service_models": Function(_service_models, ("p_service_name", "p_function_name"), _OF_SERVICE),
}
