"""Converts the catalogue to CSV and back: one row per model, one column per fact, dotted names for nested facts.

An empty cell is an unknown value. Lists are separated by commas, or JSON where an element contains one; free-form facts
(such as hyperparameters) are JSON in one cell.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from pydantic import BaseModel

from model_registry.catalog.field_sources import IMPORTED_FIELDS
from model_registry.entities.json_types import Json
from model_registry.entities.model_card import ModelCard
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.entities.spelling import suggestion
from model_registry.entities.unknown_fields import unknown_fields
from model_registry.errors import Invalid, Reason
from model_registry.imports.sources.items import make_offer

SOURCE = "csv"

KEYS = ("provider_name", "provider_type", "api_base", "name", "model_id")
"""Columns that identify a row's model. `provider` is accepted for `provider_name`."""

_NAMES = frozenset({*KEYS, "provider", "context_window"})
_WITHOUT_COLUMN: Any = None
"""Where `csv.DictReader` puts the cells of a row that is longer than the first one."""

_LISTS = frozenset({"capabilities", "tags", "task_types"})
_ANYTHING = frozenset({"training_defaults.hyperparameters", "training_defaults.lora_config", "training_entry"})
_TABLES = frozenset({"further_prices"})
_TEXTS = frozenset({"description", "display_name"})
_FIELD_ORDER = ("status", "model_type", "capabilities", "context_length", "max_output_tokens", "vram_mb", "description")

csv.field_size_limit(2**20)


def _columns() -> list[str]:
    """List the columns that have a fixed name, those of nested facts too."""
    nested = (
        f"{field}.{name}"
        for field, info in ModelCard.model_fields.items()
        for part in get_args(info.annotation)
        if isinstance(part, type) and issubclass(part, BaseModel)
        for name in part.model_fields
    )
    return sorted({*_NAMES, *IMPORTED_FIELDS, *nested})


_COLUMNS = _columns()


def write_csv(models: Iterable[Mapping[str, Any]]) -> str:
    """Write rows of `GET /api/models`."""
    rows = [dict(_cells(model)) for model in models]
    columns = {column for row in rows for column in row}
    facts = sorted(columns - set(KEYS) - set(_FIELD_ORDER))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*KEYS, *(c for c in _FIELD_ORDER if c in columns), *facts], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cells(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in KEYS:
        if model.get(key) is not None:
            yield key, str(model[key])
    for field in sorted(IMPORTED_FIELDS):
        if model.get(field) not in (None, "", [], {}):
            yield from _flat(field, model[field])


def _flat(column: str, value: object) -> Iterator[tuple[str, str]]:
    if column in _TABLES:
        yield column, json.dumps(value, ensure_ascii=False)
    elif column in _LISTS and isinstance(value, list):
        yield column, _list_text(value)
    elif column in _ANYTHING or (isinstance(value, dict) and not _is_plain(value)):
        yield column, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for key, below in value.items():
            if below is not None:
                yield from _flat(f"{column}.{key}", below)
    elif isinstance(value, bool):
        yield column, "true" if value else "false"
    else:
        yield column, str(value)


def _is_plain(value: Mapping[str, Any]) -> bool:
    """Whether dotted columns can represent an object: no ambiguous key, and no empty value."""
    return all(
        key
        and key == key.strip()
        and "." not in key
        and below not in (None, "", {})
        and not (isinstance(below, str) and below.startswith("{"))
        for key, below in value.items()
    )


def _list_text(items: list[str]) -> str:
    plain = all(item == item.strip() and "," not in item for item in items) and not items[0].startswith("[")
    return ", ".join(items) if plain else json.dumps(items, ensure_ascii=False)


def read_csv(text: str, provider: str | None = None) -> SourceContent:
    """Read the offers of a table; `provider` applies to rows without one. Errors: Invalid, for unknown columns."""
    passed_over, read, unread = [], [], []
    number = 0
    try:
        table = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        _refuse_columns([column.strip() for column in table.fieldnames or () if column.strip()])
        for number, row in enumerate(table, 2):
            if any(row.get(_WITHOUT_COLUMN) or ()) or row.get(""):
                passed_over.append(PassedOver(f"row {number}", "has a cell in a column without a name"))
                continue
            cells = {column.strip(): cell for column, cell in row.items() if column and isinstance(cell, str) and cell}
            model_id = cells.get("model_id") or cells.get("name")
            at = cells.get("provider_name") or cells.get("provider") or provider
            if model_id is None or at is None:
                passed_over.append(PassedOver(f"row {number}", "names no model_id, or no provider"))
                continue
            read.append(make_offer(f"row {number}", partial(_offer, cells, model_id, at)))
    except csv.Error as error:
        unread.append(PassedOver(f"after row {number}", f"is not a CSV table: {error}"))
    return SourceContent.joined([SourceContent((), tuple(passed_over), tuple(unread)), *read])


def _refuse_columns(columns: Sequence[str]) -> None:
    """Refuse columns that mean nothing, and those that stand twice. Errors: Invalid, naming each."""
    reasons = [Reason(column, "stands twice") for column, times in Counter(columns).items() if times > 1]
    for column in dict.fromkeys(columns):
        facts: dict[str, Any] = {}
        field = column.partition(".")[0]
        _put(facts, column.split("."), None)
        if column in _NAMES:
            continue
        if field not in IMPORTED_FIELDS or next(unknown_fields(facts, ModelCard, also=IMPORTED_FIELDS), None):
            reasons.append(Reason(column, f"is not a known column; {suggestion(column, _COLUMNS)}"))
    if reasons:
        raise Invalid("; ".join(map(str, reasons)), reasons=reasons)


def _offer(cells: Mapping[str, str], model_id: str, provider: str) -> Offer:
    fields: dict[str, Any] = {}
    for column, cell in cells.items():
        field, *below = column.split(".")
        if field in IMPORTED_FIELDS or field == "context_window":
            _put(fields, [field, *below], _value(column, cell))
    return Offer(
        provider=provider,
        provider_type=cells.get("provider_type"),
        api_base=cells.get("api_base"),
        model_id=model_id,
        name=cells.get("name"),
        fields=fields,
    )


def _value(column: str, cell: str) -> Json:
    """Parse a cell. Numbers, dates and the like stay text: the field's validation converts them."""
    if column in _LISTS and not cell.startswith("["):
        return [item.strip() for item in cell.split(",") if item.strip()]
    if column in _LISTS | _ANYTHING | _TABLES or (column not in _TEXTS and cell.startswith("{")):
        try:
            document: Json = json.loads(cell)
        except ValueError:
            return cell
        return document
    return cell


def _put(fields: dict[str, Any], path: list[str], value: Json) -> None:
    for key in path[:-1]:
        inner = fields.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        fields = inner
    fields[path[-1]] = value
