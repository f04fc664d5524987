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

CONSTRAINTS: dict[str, str] = {
    "registry_name_is_printable": "A name must not be empty or contain control characters.",
    "registry_name_is_short": "A name must have at most 300 characters.",
    "registry_key_is_printable": "A name must not be empty or contain control characters.",
    "registry_key_is_short": "This name must have at most 200 characters.",
    "model_providers_name_key": "A provider with this name already exists.",
    "model_providers_name_reserved": "A provider's name must not start with 'tensorzero::'.",
    "model_providers_type_known": "Unknown provider type.",
    "model_providers_api_base_is_url": "api_base must be an absolute http:// or https:// URL.",
    "model_providers_api_key_env_var_is_name": "api_key_env_var must be the name of an environment variable.",
    "model_providers_tensorzero_is_object": "tensorzero must be an object.",
    "model_providers_metadata_is_object": "metadata must be an object.",
    "model_providers_route_by_known": "route_by must be api_base or deployments.",
    "model_providers_route_by_fits_type": "route_by = deployments requires a provider type that takes an api_base.",
    "models_provider_id_fkey": "The provider does not exist, or models still refer to it.",
    "models_provider_id_name_key": "The provider already has a model with this name.",
    "models_name_reserved": "A model's name must not start with 'tensorzero::'.",
    "models_model_type_known": "Unknown model type.",
    "models_capabilities_are_strings": "capabilities must be a list of strings.",
    "models_vram_mb_not_negative": "vram_mb must not be negative.",
    "models_context_length_not_negative": "context_length must not be negative.",
    "models_tensorzero_is_object": "tensorzero must be an object.",
    "models_metadata_is_object": "metadata must be an object.",
    "models_status_known": "Unknown model status.",
    "models_card_is_object": "A model's card must be an object.",
    "models_card_numbers_not_negative": "Numbers in a model's card must not be negative.",
    "models_card_quality_in_range": "quality_scores must be between 0 and 1.",
    "models_card_latencies_in_order": "latency_p99_ms must not be less than latency_p50_ms.",
    "models_card_memory_in_order": "recommended_vram_gb must not be less than min_vram_gb.",
    "models_field_sources_are_strings": "field_sources must be an object of strings.",
    "model_categories_key_key": "A category with this key already exists.",
    "model_categories_name_is_printable": "A category's name must be printable and at most 200 characters long.",
    "model_aliases_model_id_fkey": "The model does not exist, or aliases still refer to it.",
    "model_aliases_alias_context_key": "This alias already exists in this context.",
    "model_aliases_alias_reserved": "An alias must not start with 'tensorzero::'.",
    "functions_service_name_function_name_key": "The service already has a function with this name.",
    "functions_name_key": "Another function has this gateway name: set a different `name`.",
    "functions_name_is_printable": "A function's name must be printable and at most 401 characters long.",
    "functions_name_reserved": "A function's name must not start with 'tensorzero::'.",
    "functions_type_known": "A function's type must be chat or json.",
    "functions_tensorzero_is_object": "tensorzero must be an object.",
    "functions_metadata_is_object": "metadata must be an object.",
    "service_model_mappings_function_fkey": "The function does not exist, or mappings still refer to it.",
    "service_model_mappings_model_id_fkey": "The model does not exist, or mappings still refer to it.",
    "service_model_mappings_fallback_model_id_fkey": "The fallback model does not exist, or mappings refer to it.",
    "service_model_mappings_variant_key": "The function already has a variant with this name.",
    "service_model_mappings_variant_name_reserved": "A variant's name must not start with 'tensorzero::'.",
    "service_model_mappings_weight_is_finite": "weight must be zero or more, and finite.",
    "service_model_mappings_tensorzero_is_object": "tensorzero must be an object.",
    "service_model_mappings_metadata_is_object": "metadata must be an object.",
    "model_deployments_node_model_key": "The node has already announced this model.",
    "model_deployments_model_id_fkey": "The model does not exist.",
    "model_deployments_provider_type_is_short": "provider_type must have 1 to 64 characters.",
    "model_deployments_status_known": "Unknown deployment status.",
    "model_deployments_vram_not_negative": "vram_allocated_mb must not be negative.",
    "model_deployments_metadata_is_object": "metadata must be an object.",
    "gpu_nodes_node_id_key": "A node with this name already exists.",
    "gpu_nodes_metadata_is_object": "metadata must be an object.",
    "gpu_nodes_status_known": "Unknown node status.",
    "gpu_nodes_labels_is_object": "labels must be an object.",
    "config_sections_name_key": "The configuration already has this section.",
    "config_sections_value_is_object": "A section must be an object.",
    "config_files_path_key": "The configuration already has a file at this path.",
    "api_keys_name_key": "A key with this name already exists.",
    "api_keys_key_hash_key": "This key already exists.",
    "api_keys_key_hash_is_sha256": "A key must be stored as its SHA-256.",
    "api_keys_scopes_known": "Scopes must be admin, node or read.",
    "registry_identity_only_row_key": "The registry already has an identity.",
    "registry_identity_only_row": "The registry must have exactly one identity.",
    "fleet_watch_only_row": "The registry must have exactly one fleet.",
    "registry_changes_operation_known": "A change must be an insert, an update or a delete.",
}
"""The message for a violation of each named constraint. A test compares the table with the database."""


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
