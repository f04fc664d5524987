"""The one table that turns what PostgREST and Postgres say into the registry's errors.

Nothing of their wording reaches a caller; it stays on the error for the log (`data["storage"]`, never rendered).
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
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
    UnknownReference,
)
from model_registry.store.json_bytes import parse_json

AWAY = "The database cannot be reached now. Reads go on from the last snapshot; try the write again in a few seconds."

_WHICH_KEY = "Check POSTGREST_KEY, or that the JWT secret is PostgREST's own; with Supabase, the service-role key."
_CLOCK = (
    "PostgREST refuses the registry's key, which by its clock is not good yet: "
    "compare the clocks of the machine that made the key and of the database's."
)
_DAMAGED = "The database's files are damaged: see Postgres's log, and restore a backup."

STATES: dict[str, tuple[type[RegistryError], str]] = {
    "23505": (AlreadyExists, "A row with the same key exists already."),
    "23503": (UnknownReference, "It refers to a row that does not exist."),
    "23001": (InUse, "Other rows still refer to it."),
    "23514": (Invalid, "A value is outside what the table allows."),
    "23502": (Invalid, "A value that is needed is missing."),
    "22P02": (Invalid, "A value has the wrong form."),
    "22P05": (Invalid, "Text holds a character that Postgres cannot keep, such as NUL."),
    "22021": (Invalid, "Text holds a character that Postgres cannot keep, such as NUL."),
    "22003": (Invalid, "A number is too large."),
    "22007": (Invalid, "A date or time has the wrong form."),
    "22008": (Invalid, "A date or time is outside what Postgres keeps."),
    "54000": (Invalid, "A value is too long."),
    "54001": (Invalid, "A value is nested too deep."),
    "MR404": (NotFound, "The row is gone: someone deleted it."),
    "MR412": (PreconditionFailed, "The row has changed since it was read. Read it again, then repeat the change."),
    "42501": (
        StorageMisconfigured,
        "The registry's role lacks a right. Run `model-registry db migrate`; its key must be of the role service_role.",
    ),
    "XX001": (StorageError, _DAMAGED),
    "XX002": (StorageError, _DAMAGED),
    "42P01": (StorageMisconfigured, "A table is missing. Run `model-registry db migrate`."),
    "42883": (StorageMisconfigured, "A database function is missing. Run `model-registry db migrate`."),
    "PGRST106": (StorageMisconfigured, "PostgREST does not expose the registry's schema: add it to PGRST_DB_SCHEMAS."),
    "PGRST202": (StorageMisconfigured, "A database function is missing. Run `model-registry db migrate`."),
    "PGRST205": (StorageMisconfigured, "A table is missing. Run `model-registry db migrate`."),
    "PGRST300": (StorageMisconfigured, "PostgREST has no JWT secret: set PGRST_JWT_SECRET."),
}
"""SQLSTATEs, PostgREST's codes, and bare statuses of whatever stands before it."""

_AWAY = (
    *("08", "25006", "53", "55", "57", "58", "40", "PGRST0", "502", "503", "504", "520", "521", "522", "429"),
    *("PGRST301", "PGRST302", "PGRST303", "403", "404"),
)
"""Beginnings of codes that mean: not now. 25006: a standby, not promoted yet; 40: another transaction in the way; 55:
an object in use, or a server that is not ready for it."""

TROUBLE: dict[str, str] = {
    "53100": "The database's disk is full: nothing can be written until it has more space. Reads go on.",
    "53200": "The database is out of memory. Reads go on; give it more, or let it do less at a time.",
    "53300": "The database takes no more connections: raise max_connections or lower PostgREST's db-pool. Reads go on.",
    "53": "The database is at a limit of its configuration; see its log. Reads go on.",
    "57014": "The database took too long, and the write was given up. Reads go on; try the write again.",
    "58": "The database cannot read or write its files; see its log. Reads go on.",
    "PGRST301": f"PostgREST refuses the registry's key. {_WHICH_KEY}",
    "PGRST302": "PostgREST wants a key: set POSTGREST_KEY or POSTGREST_JWT_SECRET.",
    "PGRST303": f"PostgREST refuses the registry's key: its claims do not hold. {_WHICH_KEY}",
    "401": f"The database's gateway refuses the registry's key. {_WHICH_KEY}",
    "403": f"The database's gateway refuses the registry's key. {_WHICH_KEY}",
    "404": "There is no PostgREST at the address: check POSTGREST_URL or SUPABASE_URL.",
}
"""Of what means "not now", that which somebody has to do something about. The longest beginning counts."""

_REFUSED_KEYS = {
    "expired": "PostgREST refuses the registry's key, which has expired. "
    "Set a new POSTGREST_KEY, or POSTGREST_JWT_SECRET: the service then signs one without an end.",
    "future": _CLOCK,
    "notyet": _CLOCK,
}
"""By words of what PostgREST says of a token whose signature is good, blanks left out: its codes differ by version."""

CONSTRAINTS: dict[str, str] = {
    "registry_name_is_printable": "A name must not be empty or hold control characters.",
    "registry_name_is_short": "A name has at most 300 characters.",
    "registry_key_is_printable": "A name must not be empty or hold control characters.",
    "registry_key_is_short": "This name has at most 200 characters.",
    "model_providers_name_key": "A provider with this name exists already.",
    "model_providers_name_reserved": "A provider's name must not start with 'tensorzero::'.",
    "model_providers_type_known": "There is no such provider type.",
    "model_providers_api_base_is_url": "api_base must be a whole http:// or https:// URL.",
    "model_providers_api_key_env_var_is_name": "api_key_env_var must be the name of an environment variable.",
    "model_providers_tensorzero_is_object": "tensorzero must be an object.",
    "model_providers_metadata_is_object": "metadata must be an object.",
    "model_providers_route_by_known": "route_by is api_base or deployments.",
    "model_providers_route_by_fits_type": "route_by = deployments needs a provider type that takes an api_base.",
    "models_provider_id_fkey": "The provider does not exist, or models still refer to it.",
    "models_provider_id_name_key": "The provider has a model with this name already.",
    "models_name_reserved": "A model's name must not start with 'tensorzero::'.",
    "models_model_type_known": "There is no such model type.",
    "models_capabilities_are_strings": "capabilities must be a list of strings.",
    "models_vram_mb_not_negative": "vram_mb must not be negative.",
    "models_context_length_not_negative": "context_length must not be negative.",
    "models_tensorzero_is_object": "tensorzero must be an object.",
    "models_metadata_is_object": "metadata must be an object.",
    "models_status_known": "There is no such model status.",
    "models_card_is_object": "A model's card must be an object.",
    "models_card_numbers_not_negative": "Numbers of a model's card must not be negative.",
    "models_card_quality_in_range": "quality_scores go from 0 to 1.",
    "models_card_latencies_in_order": "latency_p99_ms must not be less than latency_p50_ms.",
    "models_card_memory_in_order": "recommended_vram_gb must not be less than min_vram_gb.",
    "models_field_sources_are_strings": "field_sources must be an object of strings.",
    "model_categories_key_key": "There is a category with this key already.",
    "model_categories_name_is_printable": "A category's name must be printable and at most 200 characters long.",
    "model_aliases_model_id_fkey": "The model does not exist, or aliases still refer to it.",
    "model_aliases_alias_context_key": "This alias is taken in this context.",
    "model_aliases_alias_reserved": "An alias must not start with 'tensorzero::'.",
    "functions_service_name_function_name_key": "The service has a function with this name already.",
    "functions_name_key": "Another function has this gateway name: give `name`.",
    "functions_name_is_printable": "A function's name must be printable and at most 401 characters long.",
    "functions_name_reserved": "A function's name must not start with 'tensorzero::'.",
    "functions_type_known": "A function's type is chat or json.",
    "functions_tensorzero_is_object": "tensorzero must be an object.",
    "functions_metadata_is_object": "metadata must be an object.",
    "service_model_mappings_function_fkey": "The function does not exist, or mappings still refer to it.",
    "service_model_mappings_model_id_fkey": "The model does not exist, or mappings still refer to it.",
    "service_model_mappings_fallback_model_id_fkey": "The fallback model does not exist, or mappings refer to it.",
    "service_model_mappings_variant_key": "The function has a variant with this name already.",
    "service_model_mappings_variant_name_reserved": "A variant's name must not start with 'tensorzero::'.",
    "service_model_mappings_weight_is_finite": "weight must be zero or more, and finite.",
    "service_model_mappings_tensorzero_is_object": "tensorzero must be an object.",
    "service_model_mappings_metadata_is_object": "metadata must be an object.",
    "model_deployments_node_model_key": "The node has announced this model already.",
    "model_deployments_model_id_fkey": "The model does not exist.",
    "model_deployments_provider_type_is_short": "provider_type has 1 to 64 characters.",
    "model_deployments_status_known": "There is no such deployment status.",
    "model_deployments_vram_not_negative": "vram_allocated_mb must not be negative.",
    "model_deployments_metadata_is_object": "metadata must be an object.",
    "gpu_nodes_node_id_key": "There is a node with this name already.",
    "gpu_nodes_metadata_is_object": "metadata must be an object.",
    "gpu_nodes_status_known": "There is no such node status.",
    "gpu_nodes_labels_is_object": "labels must be an object.",
    "config_sections_name_key": "The configuration has this section already.",
    "config_sections_value_is_object": "A section must be an object.",
    "config_files_path_key": "The configuration has a file at this path already.",
    "api_keys_name_key": "There is a key with this name already.",
    "api_keys_key_hash_key": "This key exists already.",
    "api_keys_key_hash_is_sha256": "A key is kept as its SHA-256.",
    "api_keys_scopes_known": "Scopes are admin, node and read.",
    "registry_identity_only_row_key": "The registry has an identity already.",
    "registry_identity_only_row": "The registry has one identity.",
    "fleet_watch_only_row": "The registry watches one fleet.",
    "registry_changes_operation_known": "A change is an insert, an update or a delete.",
}
"""What the violation of each named constraint means to the caller. A test holds it against the database."""


_PROXY_STATUS = re.compile(r'\bPostgREST\s*;\s*error="?(\w+)', re.IGNORECASE)
"""PostgREST's code in a header, for when whatever stands before it has put another body in place of its own."""


@dataclass(frozen=True, slots=True)
class DatabaseError:
    """What an answer says that is none: of Postgres, of PostgREST, or of whatever stands before them."""

    code: str
    """A SQLSTATE, PostgREST's own, or the bare status."""
    message: str
    details: Json

    @classmethod
    def of(cls, response: httpx2.Response) -> Self:
        """Read the answer. Without a code in its JSON, the header's or the status counts."""
        try:
            content = parse_json(response.content)
        except ValueError:
            content = None
        fields: dict[str, Any] = content if isinstance(content, dict) else {"details": response.text}
        header = _PROXY_STATUS.search(response.headers.get("Proxy-Status", ""))
        code = fields.get("code") or (header[1] if header else response.status_code)
        return cls(str(code), str(fields.get("message") or response.reason_phrase), fields.get("details"))


def translated(error: DatabaseError) -> RegistryError:
    """The registry's error for one of the database's, with all of it kept for the log."""
    code = error.code
    told = {"code": code, "message": error.message, "details": error.details}
    trouble = _refused_key(code, error.message)
    if trouble is None and code.startswith(_AWAY):
        known = max((start for start in TROUBLE if code.startswith(start)), key=len, default="")
        trouble = TROUBLE.get(known, AWAY)
    if trouble is not None:
        return StorageUnavailable(trouble, storage=told)
    kind, message = STATES.get(code, (StorageError, "The database refused, for a reason the registry does not know."))
    violated = _violated(error.details)
    table = violated.get("table")
    if kind is Invalid and table == "models":
        kind = InvalidModel
    message = CONSTRAINTS.get(violated.get("constraint", ""), message)
    return kind(message, storage=told, operation=violated.get("operation"))


def _refused_key(code: str, said: str) -> str | None:
    """What to do about a key of ours that PostgREST understands and does not take; None: it is about something else."""
    if code in ("PGRST301", "PGRST303"):
        words = said.replace(" ", "").lower()
        return next((message for word, message in _REFUSED_KEYS.items() if word in words), None)
    if code == "22023" and said.startswith('role "'):
        return "The registry's key is of a role that the database does not have: it must be one of service_role."
    return None


def _violated(details: object) -> dict[str, Any]:
    """What `registry_write` put into the detail: constraint, table, and which operation it was."""
    try:
        found = json.loads(details) if isinstance(details, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
