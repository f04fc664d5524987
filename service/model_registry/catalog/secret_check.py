"""No secret gets into the registry by a write: what callers set is looked at, whatever the table and the door.

What a row held before is let through where it stays as it is, so that such a row can still be read and changed; what
the write sets or changes is refused. Direct writes to Postgres and PostgREST pass by here: `model-registry db redact`
finds those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_registry.entities.base import Row
from model_registry.entities.change import Operation
from model_registry.entities.secret_text import mask, mask_secrets
from model_registry.entities.secret_values import LocatedSecret, secrets_in, shown_path
from model_registry.errors import Reason, SecretInText
from model_registry.snapshot.snapshot import Snapshot

WHAT_TO_DO = (
    "The registry stores no secrets: everyone with read access would see them. Put the secret into an environment "
    "variable of the gateway, and write `env::NAME` (or NAME as `api_key_env_var`). Renew a real one: it was sent."
)
_MOST_SHOWN = 20
_DIGESTS = frozenset({"key_hash"})
"""Columns that hold what was made of a secret so that it can be kept."""
_CHANGES = "_changes"
_SPREAD = frozenset({"card"})
"""Columns whose keys are fields of their own to callers."""
_NAMES = ("name", "path", "alias", "key", "function_name", "node_id")


def refuse_secrets(before: Snapshot, operations: Sequence[Operation]) -> None:
    """Refuse a write that would put a secret into a row.

    Raises:
        SecretInText: with the field of each, what it is, and what to write instead; never the secret.
    """
    reasons = list(_reasons(before, operations))
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise SecretInText(f"{reasons[0]}{more}. {WHAT_TO_DO}", reasons=reasons[:_MOST_SHOWN])


def secrets_of_row(columns: Mapping[str, Any]) -> Iterator[LocatedSecret]:
    """The secrets in the columns of a row."""
    for column, value in columns.items():
        if value and column not in _DIGESTS and isinstance(value, str | dict | list):
            yield from secrets_in(value, (column.removesuffix(_CHANGES),))


def _reasons(before: Snapshot, operations: Sequence[Operation]) -> Iterator[Reason]:
    for operation in operations:
        if not operation.row:
            continue
        places = list(secrets_of_row(operation.row))
        if not places:
            continue
        old = before.tables[operation.table].get(operation.id) if operation.table in before.tables else None
        known = _known(old) if isinstance(old, Row) else frozenset()
        for place in places:
            if (place.path, place.text) not in known:
                where = shown_path(place.path[1:] if place.path[0] in _SPREAD else place.path)
                if len(operations) > 1:
                    where = f"{operation.table}.{_name(operation, old)}.{where}"
                yield Reason(where, f"holds a secret ({mask_secrets(place.kind)}): {mask(place.secret)}")


def _known(row: Row) -> frozenset[tuple[tuple[str, ...], str]]:
    return frozenset((place.path, place.text) for place in secrets_of_row(row.model_dump()))


def _name(operation: Operation, old: Row | None) -> str:
    columns = operation.row or {}
    values = (columns.get(name) or getattr(old, name, None) for name in _NAMES)
    return mask_secrets(str(next((name for name in values if name), operation.id)))
