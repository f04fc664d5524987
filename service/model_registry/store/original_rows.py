"""One row of the original registry's tables, read with the rules of this one.

What breaks a rule is changed and named, and what it was stands in the row's metadata, under `original`. Pure.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.provider import DESCRIPTION, ApiBase, VariableName
from model_registry.entities.secret_text import mask_secrets
from model_registry.entities.secret_values import masked_value

COLUMNS: dict[str, tuple[str, ...]] = {
    "model_providers": (
        *("id", "name", "type", "api_base", "api_key_env_var", "description", "metadata", "active"),
        *("created_at", "updated_at"),
    ),
    "models": (
        *("id", "provider_id", "name", "model_id", "model_type", "capabilities", "vram_mb", "context_length"),
        *("description", "metadata", "active", "created_at", "updated_at"),
    ),
    "model_aliases": ("id", "model_id", "alias", "context", "created_at"),
    "service_model_mappings": (
        *("id", "service_name", "function_name", "model_id", "variant_name", "priority", "weight"),
        *("fallback_model_id", "created_at"),
    ),
    "model_deployments": (
        *("id", "model_id", "node_id", "provider_type", "status", "vram_allocated_mb", "loaded_at", "last_used_at"),
        *("error_message", "created_at"),
    ),
}
"""The original's tables, in the order in which they refer to each other, and their columns: those of
`pmoves/supabase/migrations/20260115_model_registry.sql` in github.com/POWERFULMOVES/PMOVES.AI."""

_RULES: dict[str, TypeAdapter[Any]] = {
    "api_base": TypeAdapter(ApiBase),
    "api_key_env_var": TypeAdapter(VariableName),
    **dict.fromkeys(("vram_mb", "context_length", "vram_allocated_mb"), TypeAdapter(Annotated[int, Field(ge=0)])),
    "weight": TypeAdapter(Annotated[float, Field(ge=0)]),
}
_NAMES_OF_ROWS = ("name", "alias", "variant_name", "node_id", "id")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_RESERVED = "tensorzero::"
ORIGINAL = "original"
"""The key in the metadata of a row for what has no other place here."""


class OriginalRow:
    """A row, and what is changed in it."""

    def __init__(self, table: str, columns: dict[str, Any]) -> None:
        self._table = table
        self._columns = columns
        self.changes: list[str] = []
        self._kept = {
            name: value for name, value in columns.items() if name not in COLUMNS[table] and value is not None
        }
        if self._kept:
            self.change(f"the columns {', '.join(sorted(self._kept))} are unknown here: see its metadata")

    def __getitem__(self, column: str) -> Any:  # noqa: ANN401 (any JSON value)
        return self._columns.get(column)

    @property
    def moment(self) -> str:
        """The newest time that it gives, to sort by: times have one format and one zone. Empty where there is none."""
        return max(self[name] or "" for name in ("last_used_at", "loaded_at", "created_at"))

    def change(self, what: str) -> None:
        """Note that something comes over otherwise than it was."""
        name = next(str(self[column]) for column in _NAMES_OF_ROWS if self[column])
        self.changes.append(mask_secrets(f"{self._table} {name!r}: {what}"))

    def name(self, column: str, longest: int) -> str:
        """A name as names are here: printable, not reserved, not too long, not empty."""
        given = str(self[column])
        name = _CONTROL.sub(" ", given)
        while name.startswith(_RESERVED):
            name = name.removeprefix(_RESERVED)
        name = name[:longest] or "unnamed"
        if name != given:
            self.change(f"{column} is {name!r} now, because names are printable, short and not reserved")
        return name

    def one_of(self, column: str, allowed: tuple[str, ...], otherwise: str) -> str:
        """A word of a list."""
        word = self[column]
        if word in allowed:
            return str(word)
        self._keep(column, f"{column} {word!r} is unknown here: it is {otherwise!r} now")
        return otherwise

    def checked(self, column: str) -> Any:  # noqa: ANN401 (as the column's rule says)
        """A value that obeys the column's rule, or null."""
        value = self[column]
        try:
            return value if value is None else _RULES[column].validate_python(value)
        except ValidationError as error:
            self._keep(column, f"{column} is left empty: it {reasons_of(error)[0].message}")
            return None

    def tags(self, column: str) -> list[str]:
        """A list of texts: from a list, or from an object of flags."""
        value = self[column]
        if isinstance(value, dict):
            value = [tag for tag, is_set in value.items() if is_set]
        tags = [tag for tag in value if isinstance(tag, str)] if isinstance(value, list) else []
        if value and (not isinstance(value, list) or len(tags) != len(value)):
            self._keep(column, f"{column} is no list of texts: see its metadata")
        return tags

    def metadata(self) -> dict[str, Any]:
        """The row's metadata, with its description where there is no other place, and what was changed."""
        given = self["metadata"]
        metadata = dict(given) if isinstance(given, dict) else {}
        if given is not None and not isinstance(given, dict):
            self._keep("metadata", "metadata is no object: see its metadata")
        if self._table == "model_providers" and self["description"]:
            metadata.setdefault(DESCRIPTION, self["description"])
        return metadata | ({ORIGINAL: self._kept} if self._kept else {})

    def finished(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The row to insert, under its own id and with its own times. Secrets are masked: none are kept here."""
        own = {name: self[name] for name in ("id", "created_at", "updated_at") if self[name] is not None}
        masked: dict[str, Any]
        masked, secrets = masked_value(columns)
        if secrets:
            self.change(f"it held {secrets} secret{'' if secrets == 1 else 's'}, masked now: revoke and replace them")
        return own | masked

    def _keep(self, column: str, why: str) -> None:
        self._kept[column] = self[column]
        self.change(why)
