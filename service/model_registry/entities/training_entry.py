"""An entry of a training service: what it says of one model of its framework. Reads lists of entries in every form.

Entries are irregular: beside a few common fields each has what its framework's authors wrote. All of it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model_registry.entities.base import METADATA_BYTES, GatewayLongName, ShortName, json_problem, metadata_bytes
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import PassedOver
from model_registry.errors import SourceUnreadable

Entry = dict[str, Any]
"""The fields of one model, `framework` and `model_name` among them."""

_NAMES = {"framework": TypeAdapter(ShortName), "model_name": TypeAdapter(GatewayLongName)}
_FIELDS = frozenset(
    {"framework", "model_name", "display_name", "description", "params", "task_types", "tags", "priority"}
)
"""Fields by which an entry is known from an object with entries under their names."""
_LONGEST_SHOWN = 100
_LOWEST_PRIORITY = 2


@dataclass(frozen=True, slots=True)
class TrainingEntries:
    """The entries of a document, and the rows of it that are none."""

    framework: str | None
    """What the document says of itself; null where it says nothing."""
    entries: tuple[Entry, ...]
    unread: tuple[PassedOver, ...] = ()


def read_entries(document: object, framework: str | None = None) -> TrainingEntries:
    """Read a list of entries; what is wrong with one row is reported, and ends no other.

    Forms: an answer of `/models/list`; the list in it alone, as `get_all_models()` returns it; an object by name, or by
    framework and name, as files and modules define models.

    Args:
        document: parsed JSON, or what a function returned.
        framework: that of rows which name none.

    Raises:
        SourceUnreadable: when it has none of these forms.
    """
    own = document.get("framework") if isinstance(document, Mapping) else None
    own = own if isinstance(own, str) and own else None
    entries: dict[tuple[str, str], Entry] = {}
    unread: list[PassedOver] = []
    rows = list(_rows(document))
    for place, default, row in rows:
        try:
            entry = _entry(place, default or own or framework, row)
        except ValueError as error:
            unread.append(PassedOver(_label(place, row), str(error)))
            continue
        key = entry["framework"], entry["model_name"]
        if key in entries:
            unread.append(PassedOver("/".join(key), "stands in the list twice"))
        else:
            entries[key] = entry
    count = document.get("model_count") if isinstance(document, Mapping) else None
    if isinstance(count, int) and count != len(rows):
        unread.append(PassedOver("model_count", f"is {count}, but {len(rows)} models are listed"))
    return TrainingEntries(own, tuple(entries.values()), tuple(unread))


def entry_keys(card: Mapping[str, Any], model_id: str) -> tuple[tuple[str, str], ...]:
    """Return the framework and the name of the entry on a model's card; nothing where it has none."""
    entry = card.get("training_entry")
    if not isinstance(entry, Mapping):
        return ()
    framework, name = entry.get("framework") or card.get("framework"), entry.get("model_name") or model_id
    return ((framework, name),) if isinstance(framework, str) and isinstance(name, str) else ()


def priority_of(entry: Entry) -> int:
    """Return an entry's priority: the lowest where it has none."""
    priority = entry.get("priority")
    return priority if isinstance(priority, int) and not isinstance(priority, bool) else _LOWEST_PRIORITY


def _rows(document: object) -> Iterator[tuple[str | int, str | None, object]]:
    """Yield each row with its key (or place) and the framework that it stands under."""
    listed = document.get("models") if isinstance(document, Mapping) and "models" in document else document
    if isinstance(listed, list | tuple):
        yield from ((place, None, row) for place, row in enumerate(listed))
    elif isinstance(listed, Mapping) and (
        listed is not document or any(isinstance(v, Mapping) for v in listed.values())
    ):
        for name, row in listed.items():
            if isinstance(row, Mapping) and _is_of_framework(row):
                yield from ((str(below), str(name), entry) for below, entry in row.items())
            else:
                yield str(name), None, row
    else:
        what = f"only {', '.join(map(_shown, listed))}" if isinstance(listed, Mapping) and listed else "nothing"
        raise SourceUnreadable(f"There is no list of models: it has {what}, where a list `models` should be.")


def _is_of_framework(value: Mapping[Any, Any]) -> bool:
    """Whether an object has entries under their names, and is none itself."""
    return _FIELDS.isdisjoint(value) and any(isinstance(row, Mapping) for row in value.values())


def _entry(place: str | int, framework: str | None, row: object) -> Entry:
    """Check one row. Errors: ValueError, with the reason."""
    if not isinstance(row, Mapping):
        message = f"must be an object with the fields of a model, not a {type(row).__name__}"
        raise ValueError(message)  # noqa: TRY004 (one kind of error for everything that is wrong with a row)
    given = {"framework": framework, "model_name": place if isinstance(place, str) else None}
    entry = {name: row.get(name) or given[name] for name in _NAMES} | {
        str(name): value for name, value in row.items() if name not in _NAMES
    }
    for name, adapter in _NAMES.items():
        if entry[name] is None:
            message = f"{name}: is required"
            raise ValueError(message)
        try:
            adapter.validate_python(entry[name])
        except ValidationError as error:
            message = f"{name}: {reasons_of(error)[0].message}"
            raise ValueError(message) from error
    if problem := json_problem(entry):
        raise ValueError(problem)
    if (size := metadata_bytes(entry)) > METADATA_BYTES:
        message = f"has {size:,} bytes as JSON; at most {METADATA_BYTES:,} are kept of a model"
        raise ValueError(message)
    return entry


def _label(place: str | int, row: object) -> str:
    """Name a bad row: by its own name, or by its place in the list, from 1."""
    name = row.get("model_name") if isinstance(row, Mapping) else None
    if isinstance(name, str) and name:
        return _shown(name)
    return (_shown(place) or "(no name)") if isinstance(place, str) else f"row {place + 1}"


def _shown(value: object) -> str:
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
