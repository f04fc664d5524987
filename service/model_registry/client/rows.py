"""Rows as a registry shows them to its clients, read leniently: a newer registry may send more than we understand."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from model_registry.entities.base import Row
from model_registry.entities.function import Mapping
from model_registry.entities.model import Alias, ModelColumns
from model_registry.entities.model_card import ModelCard
from model_registry.errors import RegistryUnreachable

R = TypeVar("R", bound=BaseModel)


class AliasOfModel(BaseModel):
    """An alias as its model shows it."""

    alias: str
    context: str | None = None


class CatalogModel(ModelCard, ModelColumns):
    """A model: its columns, its card's fields beside them, and its provider's address."""

    context_window: int | None = None
    supports: dict[str, bool] = Field(default_factory=dict)
    offered: bool = True
    provider_name: str | None = None
    provider_type: str | None = None
    api_base: str | None = None
    api_key_env_var: str | None = None
    aliases: list[AliasOfModel] = Field(default_factory=list)


class ServiceModel(CatalogModel):
    """A model that serves a service, and its mapping."""

    mapping_id: str
    service_name: str
    function_name: str
    variant_name: str
    priority: int
    weight: float
    fallback_model_id: str | None = None


class CatalogAlias(Alias):
    """An alias with the name of its model."""

    model_name: str | None = None


class CatalogMapping(Mapping):
    """A mapping with the names of what it joins."""

    function_id: str | None = None
    function: str | None = None
    model_name: str | None = None
    model_type: str | None = None
    provider_model_id: str | None = None
    provider_name: str | None = None
    fallback_model_name: str | None = None


class ServiceRow(Row):
    """A service and its functions."""

    id: str = ""
    service_name: str
    functions: list[str]


def read_row(kind: type[R], data: Any) -> R:  # noqa: ANN401 (any JSON value)
    """Read one row, without the fields that this version does not understand. Errors: RegistryUnreachable."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        strange = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        first = error
    try:
        return kind.model_validate({name: value for name, value in dict(data).items() if name not in strange})
    except (ValidationError, TypeError, ValueError) as error:
        raise RegistryUnreachable(f"What came is no {kind.__name__} as a registry shows it: {first}") from error
