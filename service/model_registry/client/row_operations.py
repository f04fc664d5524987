"""Reading and writing rows: every resource but models. Nothing is sent here: each method makes a question.

Written out for each resource, so that `help()` and mypy know its fields and filters. In all of them: a reference is an
id or a name, and may hold slashes. Fields can be given as a mapping, as keyword arguments, which count more, or both.
With an `etag`, a row that has changed since is left alone: PreconditionFailed. `limit` and `offset` are the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from model_registry.client.requests import Call, operation
from model_registry.client.row_calls import Rows
from model_registry.client.rows import (
    AliasFields,
    CatalogAlias,
    CatalogMapping,
    CatalogProvider,
    CategoryFields,
    FunctionFields,
    MappingFields,
    ProviderFields,
)
from model_registry.entities.function import Function
from model_registry.entities.model import Category

_PROVIDERS = Rows("providers", CatalogProvider)
_CATEGORIES = Rows("categories", Category)
_ALIASES = Rows("aliases", CatalogAlias)
_FUNCTIONS = Rows("functions", Function)
_MAPPINGS = Rows("mappings", CatalogMapping)


class RowOperations:
    """List, get, create, replace, change and delete."""

    @operation
    def list_providers(
        self,
        *,
        type: str | None = None,  # noqa: A002 (the registry's name)
        active: bool | None = None,
        provider_type: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[CatalogProvider]]:
        """List providers that pass the filters. Errors: Invalid, for an unknown value."""
        return _PROVIDERS.list(type=type, active=active, provider_type=provider_type, limit=limit, offset=offset)

    @operation
    def get_provider(self, reference: str) -> Call[CatalogProvider]:
        """Get a provider. Errors: NotFound, AmbiguousName."""
        return _PROVIDERS.get(reference)

    @operation
    def create_provider(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[ProviderFields]
    ) -> Call[CatalogProvider]:
        """Add a provider. Errors: Invalid, with every bad field; AlreadyExists."""
        return _PROVIDERS.create(fields, more)

    @operation
    def replace_provider(
        self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None
    ) -> Call[CatalogProvider]:
        """Set every field of a provider. Errors: as `create_provider`; NotFound, PreconditionFailed."""
        return _PROVIDERS.replace(reference, fields, etag)

    @operation
    def change_provider(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[ProviderFields]
    ) -> Call[CatalogProvider]:
        """Set some fields of a provider. Errors: as `replace_provider`."""
        return _PROVIDERS.change(reference, fields, etag)

    @operation
    def delete_provider(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a provider. Errors: NotFound, InUse, PreconditionFailed."""
        return _PROVIDERS.delete(reference, etag)

    @operation
    def list_categories(self, *, limit: int | None = None, offset: int | None = None) -> Call[list[Category]]:
        """List categories. Errors: Invalid, for an unknown value."""
        return _CATEGORIES.list(limit=limit, offset=offset)

    @operation
    def get_category(self, reference: str) -> Call[Category]:
        """Get a category. Errors: NotFound, AmbiguousName."""
        return _CATEGORIES.get(reference)

    @operation
    def create_category(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[CategoryFields]
    ) -> Call[Category]:
        """Add a category. Errors: Invalid, with every bad field; AlreadyExists."""
        return _CATEGORIES.create(fields, more)

    @operation
    def replace_category(self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None) -> Call[Category]:
        """Set every field of a category. Errors: as `create_category`; NotFound, PreconditionFailed."""
        return _CATEGORIES.replace(reference, fields, etag)

    @operation
    def change_category(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[CategoryFields]
    ) -> Call[Category]:
        """Set some fields of a category. Errors: as `replace_category`."""
        return _CATEGORIES.change(reference, fields, etag)

    @operation
    def delete_category(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a category. Errors: NotFound, InUse, PreconditionFailed."""
        return _CATEGORIES.delete(reference, etag)

    @operation
    def list_aliases(
        self,
        *,
        alias: str | None = None,
        context: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[CatalogAlias]]:
        """List aliases that pass the filters. Errors: Invalid, for an unknown value."""
        return _ALIASES.list(alias=alias, context=context, limit=limit, offset=offset)

    @operation
    def get_alias(self, reference: str) -> Call[CatalogAlias]:
        """Get an alias. Errors: NotFound, AmbiguousName."""
        return _ALIASES.get(reference)

    @operation
    def create_alias(self, fields: Mapping[str, Any] | None = None, **more: Unpack[AliasFields]) -> Call[CatalogAlias]:
        """Add an alias. Errors: Invalid, with every bad field; AlreadyExists."""
        return _ALIASES.create(fields, more)

    @operation
    def replace_alias(
        self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None
    ) -> Call[CatalogAlias]:
        """Set every field of an alias. Errors: as `create_alias`; NotFound, PreconditionFailed."""
        return _ALIASES.replace(reference, fields, etag)

    @operation
    def change_alias(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[AliasFields]
    ) -> Call[CatalogAlias]:
        """Set some fields of an alias. Errors: as `replace_alias`."""
        return _ALIASES.change(reference, fields, etag)

    @operation
    def delete_alias(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete an alias. Errors: NotFound, InUse, PreconditionFailed."""
        return _ALIASES.delete(reference, etag)

    @operation
    def list_functions(
        self, *, service_name: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Call[list[Function]]:
        """List functions that pass the filters. Errors: Invalid, for an unknown value."""
        return _FUNCTIONS.list(service_name=service_name, limit=limit, offset=offset)

    @operation
    def get_function(self, reference: str) -> Call[Function]:
        """Get a function. Errors: NotFound, AmbiguousName."""
        return _FUNCTIONS.get(reference)

    @operation
    def create_function(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[FunctionFields]
    ) -> Call[Function]:
        """Add a function. Errors: Invalid, with every bad field; AlreadyExists."""
        return _FUNCTIONS.create(fields, more)

    @operation
    def replace_function(self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None) -> Call[Function]:
        """Set every field of a function. Errors: as `create_function`; NotFound, PreconditionFailed."""
        return _FUNCTIONS.replace(reference, fields, etag)

    @operation
    def change_function(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[FunctionFields]
    ) -> Call[Function]:
        """Set some fields of a function. Errors: as `replace_function`."""
        return _FUNCTIONS.change(reference, fields, etag)

    @operation
    def delete_function(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a function. Errors: NotFound, InUse, PreconditionFailed."""
        return _FUNCTIONS.delete(reference, etag)

    @operation
    def list_mappings(
        self,
        *,
        service_name: str | None = None,
        function_name: str | None = None,
        model: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[CatalogMapping]]:
        """List mappings that pass the filters. Errors: Invalid, for an unknown value."""
        return _MAPPINGS.list(
            service_name=service_name, function_name=function_name, model=model, limit=limit, offset=offset
        )

    @operation
    def get_mapping(self, reference: str) -> Call[CatalogMapping]:
        """Get a mapping. Errors: NotFound, AmbiguousName."""
        return _MAPPINGS.get(reference)

    @operation
    def create_mapping(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[MappingFields]
    ) -> Call[CatalogMapping]:
        """Add a mapping. Errors: Invalid, with every bad field; AlreadyExists."""
        return _MAPPINGS.create(fields, more)

    @operation
    def replace_mapping(
        self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None
    ) -> Call[CatalogMapping]:
        """Set every field of a mapping. Errors: as `create_mapping`; NotFound, PreconditionFailed."""
        return _MAPPINGS.replace(reference, fields, etag)

    @operation
    def change_mapping(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[MappingFields]
    ) -> Call[CatalogMapping]:
        """Set some fields of a mapping. Errors: as `replace_mapping`."""
        return _MAPPINGS.change(reference, fields, etag)

    @operation
    def delete_mapping(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a mapping. Errors: NotFound, InUse, PreconditionFailed."""
        return _MAPPINGS.delete(reference, etag)
