"""Translate errors of PostgREST and Postgres into the registry's errors: one table.

Their wording never reaches a caller; it stays on the error for the log (`data["storage"]`, never rendered).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from model_registry.entities.json_types import Json
from model_registry.errors import (
    AlreadyExists,
    InUse,
    Invalid,
    InvalidModel,
    NotFound,
    PreconditionFailed,
    RegistryError,
    StatementTimeout,
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
    UnknownReference,
)
from model_registry.store.constraints import CONSTRAINTS
from model_registry.store.json_bytes import parse_json

AWAY = "The database is unavailable. Reads continue from the last snapshot; retry the write in a few seconds."

_WHICH_KEY = (
    "Check POSTGREST_KEY, or that the JWT secret is PostgREST's own; with Supabase, that SUPABASE_SERVICE_ROLE_KEY is "
    "a secret key (sb_secret_...) or the service-role key, not a publishable or anon one."
)
_CLOCK = (
    "PostgREST refuses the registry's key as not valid yet: "
    "compare the clocks of the machine that signed the key and of the database."
)
_UNKNOWN = "The database refused the request for an unrecognized reason; see the service log."
_OTHER_VERSION = "The database's functions are of another version. Run `model-registry db migrate`."
_NOT_POSTGREST = (
    "What answers at the database's address refuses PostgREST's requests: check POSTGREST_URL or SUPABASE_URL "
    "(http or https, host, path) and the proxies in between."
)
_TOO_LONG = (
    "The statement took too long and the database cancelled it. Repeating it does not help: write fewer rows at once, "
    "or raise the limit: alter role service_role set statement_timeout = '60s'; notify pgrst, 'reload config'. "
    "If everything takes too long, a transaction that was left open may hold a lock: see pg_stat_activity."
)
_DAMAGED = "The database's files are damaged: see the Postgres log, and restore a backup."

STATES: dict[str, tuple[type[RegistryError], str]] = {
    "23505": (AlreadyExists, "A row with the same key already exists."),
    "23503": (UnknownReference, "The row refers to another row that does not exist."),
    "23001": (InUse, "Other rows still refer to this row."),
    "23514": (Invalid, "A value is outside the range that the table allows."),
    "23502": (Invalid, "A required value is missing."),
    "22P02": (Invalid, "A value has the wrong format."),
    "22P05": (Invalid, "Text contains a character that Postgres cannot store, such as NUL."),
    "22021": (Invalid, "Text contains a character that Postgres cannot store, such as NUL."),
    "22003": (Invalid, "A number is too large."),
    "22007": (Invalid, "A date or time has the wrong format."),
    "22008": (Invalid, "A date or time is outside the range of Postgres."),
    "54000": (Invalid, "A value is too long."),
    "54001": (Invalid, "A value is nested too deeply."),
    "MR404": (NotFound, "The row no longer exists: someone deleted it."),
    "MR412": (PreconditionFailed, "The row has changed since it was read. Read it again, then repeat the change."),
    "42501": (
        StorageMisconfigured,
        "The registry's role lacks a privilege. Run `model-registry db migrate`; the key's role must be service_role.",
    ),
    "XX001": (StorageError, _DAMAGED),
    "XX002": (StorageError, _DAMAGED),
    "42P01": (StorageMisconfigured, "A table is missing. Run `model-registry db migrate`."),
    "42883": (StorageMisconfigured, "A database function is missing. Run `model-registry db migrate`."),
    "PGRST106": (StorageMisconfigured, "PostgREST does not expose the registry's schema: add it to PGRST_DB_SCHEMAS."),
    "PGRST201": (StorageMisconfigured, _OTHER_VERSION),
    "PGRST202": (StorageMisconfigured, "A database function is missing. Run `model-registry db migrate`."),
    "PGRST203": (StorageMisconfigured, _OTHER_VERSION),
    "PGRST204": (StorageMisconfigured, _OTHER_VERSION),
    "PGRST205": (StorageMisconfigured, "A table is missing. Run `model-registry db migrate`."),
    "PGRST300": (StorageMisconfigured, "PostgREST has no JWT secret: set PGRST_JWT_SECRET."),
}
"""SQLSTATEs and PostgREST's codes."""

_AWAY = ("08", "25006", "53", "55", "57", "58", "40", "PGRST0", "PGRST301", "PGRST302", "PGRST303")
"""Prefixes of codes of temporary failures. 25006: a standby, not promoted yet; 40: a conflicting transaction; 55: an
object in use, or a server that is not ready."""

_AWAY_STATUSES = frozenset({401, 402, 403, 404, 408, 425, 429})
"""Statuses below 500 of a gateway that does not let requests through to the database for now."""

TROUBLE: dict[str, str] = {
    "53100": "The database's disk is full: writes fail until there is more space. Reads continue.",
    "53200": "The database is out of memory: give it more memory or less concurrent work. Reads continue.",
    "53300": "The database accepts no more connections: raise max_connections or lower the db-pool of "
    "PostgREST. Reads continue.",
    "53": "The database has reached a configured limit; see its log. Reads continue.",
    "58": "The database cannot read or write its files; see its log. Reads continue.",
    "PGRST003": "PostgREST has no free connection to the database: raise its db-pool. Reads continue.",
    "PGRST301": f"PostgREST refuses the registry's key. {_WHICH_KEY}",
    "PGRST302": "PostgREST requires a key: set POSTGREST_KEY or POSTGREST_JWT_SECRET.",
    "PGRST303": f"PostgREST refuses the registry's key: its claims are not valid. {_WHICH_KEY}",
    "401": f"The database's gateway refuses the registry's key. {_WHICH_KEY}",
    "402": "Supabase has restricted the project, for its usage or an unpaid bill: see its dashboard. Reads continue.",
    "403": f"The database's gateway refuses the registry's key. {_WHICH_KEY}",
    "404": "There is no PostgREST at the address: check POSTGREST_URL or SUPABASE_URL.",
    "429": f"{AWAY} (The database's gateway limits the number of requests.)",
    "540": "The Supabase project is paused: restore it in its dashboard. Reads continue.",
    "544": f"{AWAY} (Supabase's gateway gave up waiting for it; more compute may help.)",
}
"""Temporary failures that an operator must act on: by code, of which the longest matching prefix wins, or by the status
that a gateway answers by itself (https://supabase.com/docs/guides/platform/http-status-codes)."""

_REFUSED_KEYS = {
    "expired": "PostgREST refuses the registry's key, which has expired. "
    "Set a new POSTGREST_KEY, or POSTGREST_JWT_SECRET: the service then signs a key that does not expire.",
    "future": _CLOCK,
    "notyet": _CLOCK,
}
"""By words in PostgREST's message about a correctly signed token, blanks removed: its codes differ by version."""

_PROXY_STATUS = re.compile(r'\bPostgREST\s*;\s*error="?(\w+)', re.IGNORECASE)
"""PostgREST repeats its code in a header, which survives a proxy that replaces the body."""


_CODE = re.compile(r"PGRST\w+|(?:\d[0-9A-Z]|F0|HV|MR|P0|PT|XX)[0-9A-Z]{3}")
"""A SQLSTATE (by its class: https://www.postgresql.org/docs/current/errcodes-appendix.html), or a code of PostgREST.
Gateways have codes of their own: numbers, words."""


@dataclass(frozen=True, slots=True)
class DatabaseError:
    """An error response of Postgres, PostgREST, or a gateway in front of them."""

    code: str
    """A SQLSTATE or a code of PostgREST; of a response that is neither's, the HTTP status."""
    message: str
    details: Json

    @classmethod
    def of(cls, response: httpx2.Response) -> Self:
        """Read the response: the database's code is in its JSON or in a header. Any other body is a gateway's."""
        try:
            content = parse_json(response.content)
        except ValueError:
            content = None
        fields: dict[str, Any] = content if isinstance(content, dict) else {"details": response.text}
        header = _PROXY_STATUS.search(response.headers.get("Proxy-Status", ""))
        codes = (fields.get("code"), header[1] if header else None)
        own = next((code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)), None)
        message = str(fields.get("message") or response.reason_phrase)
        return cls(own or str(response.status_code), message, fields.get("details"))


def translated(error: DatabaseError) -> RegistryError:
    """Translate an error of the database, keeping all of it for the log."""
    code = error.code
    storage = {"code": code, "message": error.message, "details": error.details}
    if not _CODE.fullmatch(code):
        return _of_gateway(int(code), storage)
    if code == "57014" and "user request" not in error.message:  # otherwise an administrator cancelled it
        return StatementTimeout(_TOO_LONG, storage=storage)
    trouble = _refused_key(code, error.message)
    if trouble is None and code.startswith(_AWAY):
        known = max((start for start in TROUBLE if code.startswith(start)), key=len, default="")
        trouble = TROUBLE.get(known, AWAY)
    if trouble is not None:
        return StorageUnavailable(trouble, storage=storage)
    kind, message = STATES.get(code, (StorageError, _UNKNOWN))
    violated = _violated(error.details)
    table = violated.get("table")
    if kind is Invalid and table == "models":
        kind = InvalidModel
    message = CONSTRAINTS.get(violated.get("constraint", ""), message)
    return kind(message, storage=storage, operation=violated.get("operation"))


def _of_gateway(status: int, storage: dict[str, Json]) -> RegistryError:
    """Translate an answer that did not come from the database: whatever its body, only its status counts."""
    if status >= 500 or status in _AWAY_STATUSES:  # noqa: PLR2004
        return StorageUnavailable(TROUBLE.get(str(status), AWAY), storage=storage)
    if status == 413:  # noqa: PLR2004
        return StorageError("The database's gateway refuses requests of this size: write fewer rows.", storage=storage)
    return StorageMisconfigured(_NOT_POSTGREST, storage=storage)


def _refused_key(code: str, message: str) -> str | None:
    """What to do about a key that PostgREST refuses; None when the error is about something else."""
    if code in ("PGRST301", "PGRST303"):
        words = message.replace(" ", "").lower()
        return next((advice for word, advice in _REFUSED_KEYS.items() if word in words), None)
    if code == "22023" and message.startswith('role "'):
        return "The role in the registry's key does not exist in the database: it must be service_role."
    return None


def _violated(details: object) -> dict[str, Any]:
    """The detail written by `registry_write`: constraint, table, and number of the operation."""
    try:
        found = json.loads(details) if isinstance(details, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
