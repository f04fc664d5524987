"""A copy of the catalogue on the client's side, and its age. Immutable; a `Subscription` keeps one current."""

from __future__ import annotations

import time
from dataclasses import dataclass

from model_registry.client.requests import json_object
from model_registry.client.row_calls import R, read_row
from model_registry.client.rows import CatalogAlias, CatalogMapping, CatalogModel, CatalogProvider
from model_registry.entities.function import Function
from model_registry.entities.model import Category
from model_registry.entities.spelling import letters_of
from model_registry.errors import AmbiguousName, ModelNotFound


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every row of every resource, at one revision."""

    providers: tuple[CatalogProvider, ...]
    categories: tuple[Category, ...]
    models: tuple[CatalogModel, ...]
    aliases: tuple[CatalogAlias, ...]
    functions: tuple[Function, ...]
    mappings: tuple[CatalogMapping, ...]
    as_of: float = 0.0
    """When the registry last confirmed it, in epoch seconds."""

    def age_seconds(self, now: float | None = None) -> float:
        """How long ago the registry confirmed it."""
        return max(0.0, (time.time() if now is None else now) - self.as_of)

    def model(self, reference: str) -> CatalogModel:
        """Find a model by id, name, `provider/name`, its provider's name for it, or alias, as the registry does.

        Errors: ModelNotFound, AmbiguousName.
        """
        called = {alias.model_id for alias in self.aliases if alias.alias == reference}
        for fitting in (
            [m for m in self.models if m.id == reference],
            [m for m in self.models if m.name == reference],
            [m for m in self.models if reference in (f"{m.provider_name}/{m.name}", f"{m.provider_name}/{m.model_id}")],
            [m for m in self.models if m.model_id == reference],
            [m for m in self.models if m.id in called],
        ):
            if len(fitting) > 1:
                message = f"The model {reference!r} fits {len(fitting)} rows. Use the id or provider/name of one."
                raise AmbiguousName(message)
            if fitting:
                return fitting[0]
        raise ModelNotFound(f"There is no model {reference!r}.")

    def models_for(self, service_name: str, function_name: str | None = None) -> list[CatalogModel]:
        """List the models that serve a service, in any spelling, best first, without those that are not offered."""
        services = {m.service_name for m in self.mappings}
        alike = {service_name} & services or {s for s in services if letters_of(s) == letters_of(service_name)}
        if len(alike) > 1:
            raise AmbiguousName(f"The service {service_name!r} may be {' or '.join(map(repr, sorted(alike)))}.")
        used = [m for m in self.mappings if m.service_name in alike and function_name in (None, m.function_name)]
        used.sort(key=lambda m: (m.priority, -m.weight, m.function_name, m.variant_name))
        models = {model.id: model for model in self.models}
        return [model for m in used if (model := models.get(m.model_id)) and model.offered]


def read_catalogue(content: bytes) -> Catalogue:
    """Read what `/api/catalog` answers. Errors: ValueError, TypeError; RegistryUnreachable, for a row that is none."""
    document = json_object(content)

    def rows(plural: str, kind: type[R]) -> tuple[R, ...]:
        return tuple(read_row(kind, row) for row in document.get(plural, ()))

    return Catalogue(
        rows("providers", CatalogProvider),
        rows("categories", Category),
        rows("models", CatalogModel),
        rows("aliases", CatalogAlias),
        rows("functions", Function),
        rows("mappings", CatalogMapping),
    )
