"""The connection to PostgREST: which client, which key, which time limits. One method: call a function.

Every read and write of the service is one call of a database function, hence one transaction.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx2
import jwt

from model_registry.errors import StorageMisconfigured, StorageUnavailable
from model_registry.loopback import is_loopback
from model_registry.settings import Settings
from model_registry.store.errors import AWAY, DatabaseError, translated
from model_registry.store.http11_transport import Http11Transport, reachable
from model_registry.store.json_bytes import Argument, parse_json, request_body

if TYPE_CHECKING:
    import httpx
    from postgrest import AsyncPostgrestClient
    from supabase import AsyncClient

TIMEOUT = httpx2.Timeout(15.0, connect=2.0)
"""Seconds. A snapshot of 50,000 models takes about one."""

CONNECTIONS = 32
"""Concurrent requests; further ones wait here rather than in the database."""
LOG_CONNECTIONS = 4
"""For reads of the change log, which are slower and open to every reader: writes never wait for them."""

_NOTHING_SET = "No database is configured: set POSTGREST_URL, or SUPABASE_URL, or start one with `model-registry up`."
_JSON_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


@functools.cache
def tls() -> ssl.SSLContext:
    """The trusted certificates. Loaded once: reading them takes longer than everything else at startup."""
    return httpx2.create_ssl_context()


class Database:
    """PostgREST, as the rest of the package sees it."""

    def __init__(self, url: str, headers: Mapping[str, str], connections: int = CONNECTIONS) -> None:
        self._functions = f"{url.rstrip('/')}/rpc/"
        self.http = _http(url, connections)
        self.http.headers.update({**_JSON_HEADERS, **headers})

    async def call(self, function: str, **arguments: Argument) -> Any:  # noqa: ANN401 (callers know what their function answers)
        """Call a database function; one request, one transaction. An argument may be an `orjson.Fragment`.

        Timeout: 2 s to connect, 15 s in all. Not retried: a write may have happened. Errors: StorageUnavailable when
        nobody answers in time or Postgres is away; Invalid for arguments that JSON cannot hold; otherwise what
        `store/errors.py` makes of the answer.
        """
        body = request_body(arguments)
        try:
            response = await self.http.post(self._functions + function, content=body)
        except (httpx2.HTTPError, OSError) as error:
            raise StorageUnavailable(AWAY, storage={"message": repr(error)}) from error
        if not response.is_success:
            raise translated(DatabaseError.of(response))
        try:
            return parse_json(response.content)
        except ValueError as error:
            raise StorageUnavailable(AWAY, storage={"message": "an answer that is not JSON"}) from error

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()


async def connect(settings: Settings, connections: int = CONNECTIONS) -> Database:
    """Connect as the settings say. Sends nothing yet. Errors: StorageMisconfigured."""
    if settings.supabase_url:
        postgrest = await _supabase_postgrest(settings)
        return Database(str(postgrest.base_url), postgrest.headers, connections)
    if settings.postgrest_url:
        schema, key = settings.db_schema, _postgrest_key(settings)
        headers = {"Authorization": f"Bearer {key}", "Accept-Profile": schema, "Content-Profile": schema}
        return Database(settings.postgrest_url, headers, connections)
    raise StorageMisconfigured(_NOTHING_SET)


def _http(url: str, connections: int) -> httpx2.AsyncClient:
    address = httpx2.URL(url)
    if reachable(address):
        return httpx2.AsyncClient(transport=Http11Transport(address, connections), timeout=TIMEOUT)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections // 2)
    return httpx2.AsyncClient(verify=tls(), timeout=TIMEOUT, limits=limits, trust_env=not is_loopback(url))


async def supabase_client(settings: Settings, http: httpx.AsyncClient) -> AsyncClient:
    """Make Supabase's own client, which knows a project's addresses and the headers for each kind of key.

    Sends nothing yet. Errors: StorageMisconfigured.
    """
    # Imported here: the package takes half a second and 22 MB that others need not pay.
    from supabase import AsyncClientOptions, SupabaseException, create_async_client  # noqa: PLC0415

    if settings.supabase_key is None:
        message = "SUPABASE_URL is set but SUPABASE_SERVICE_ROLE_KEY is not."
        raise StorageMisconfigured(message)
    options = AsyncClientOptions(
        schema=settings.db_schema, httpx_client=http, auto_refresh_token=False, persist_session=False
    )
    try:
        return await create_async_client(
            settings.supabase_url or "", settings.supabase_key.get_secret_value(), options=options
        )
    except SupabaseException as error:
        message = f"SUPABASE_URL or its key is not usable: {error}"
        raise StorageMisconfigured(message) from error


async def _supabase_postgrest(settings: Settings) -> AsyncPostgrestClient:
    """The address of the project's PostgREST, and the headers that it expects."""
    import httpx  # noqa: PLC0415 (comes with supabase)

    trust_env = not is_loopback(settings.supabase_url or "")
    async with httpx.AsyncClient(verify=tls(), trust_env=trust_env) as unused:  # it would read the certificates again
        return (await supabase_client(settings, unused)).postgrest


def _postgrest_key(settings: Settings) -> str:
    """The key that PostgREST gets: the one given, or one signed with its own secret."""
    if settings.postgrest_key is not None:
        return settings.postgrest_key.get_secret_value()
    if settings.postgrest_jwt_secret is not None:
        # No time in it: PostgREST refuses a key that was made in the future, as when our clock is ahead of its own.
        claims = {"role": "service_role", "iss": "model-registry"}
        return jwt.encode(claims, settings.postgrest_jwt_secret.get_secret_value(), algorithm="HS256")
    message = "POSTGREST_URL is set but neither POSTGREST_KEY nor POSTGREST_JWT_SECRET is."
    raise StorageMisconfigured(message)
