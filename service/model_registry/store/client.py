"""The connection to PostgREST: which client, which key, which time limits. One method: call a function.

Every read and write of the service is one call of a database function, hence one transaction.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import jwt
from postgrest import APIError, AsyncPostgrestClient

from model_registry.errors import StorageMisconfigured, StorageUnavailable
from model_registry.loopback import is_loopback
from model_registry.settings import Settings
from model_registry.store.errors import AWAY, translated
from model_registry.store.exact_floats import ExactClient, exact
from model_registry.store.http11_transport import Http11Transport, reachable
from model_registry.store.ready_json import forget, ready

TIMEOUT = httpx.Timeout(15.0, connect=2.0)
"""Seconds. A snapshot of 50,000 models takes about one."""

_NONE: Mapping[str, bytes] = {}
CONNECTIONS = 32
"""More requests at a time than this wait for each other here, and not in the database."""
LOG_CONNECTIONS = 4
"""For questions about the log, which anybody may ask and which take the database longer: writes never wait for them."""

_NOTHING_SET = "No database is configured: set POSTGREST_URL, or SUPABASE_URL, or start one with `model-registry up`."


@functools.cache
def tls() -> ssl.SSLContext:
    """What servers are checked against. Made once: reading the certificates takes longer than all else at the start."""
    return httpx.create_ssl_context()


class Database:
    """PostgREST, as the rest of the package sees it."""

    def __init__(self, postgrest: AsyncPostgrestClient, close: Callable[[], Awaitable[None]]) -> None:
        self._postgrest = postgrest
        self._close = close

    async def call(self, function: str, *, made: Mapping[str, bytes] = _NONE, **arguments: Any) -> Any:  # noqa: ANN401 (JSON in, JSON out)
        """Call a database function; one request, one transaction. `made` are arguments whose JSON is made already.

        Timeout: 2 s to connect, 15 s in all. Not retried: a write may have happened. Errors: StorageUnavailable when
        nobody answers in time or Postgres is away; otherwise what `store/errors.py` makes of the answer.
        """
        names = {argument: ready(json) for argument, json in made.items()}
        try:
            answer = await self._postgrest.rpc(function, exact(arguments) | names).execute()
        except APIError as error:
            raise translated(error) from error
        except (httpx.HTTPError, OSError) as error:
            raise StorageUnavailable(AWAY, storage={"message": repr(error)}) from error
        except ValueError as error:  # JSON that cannot be read, or no JSON
            raise StorageUnavailable(AWAY, storage={"message": "an answer that is not JSON"}) from error
        finally:
            for name in names.values():
                forget(name)
        return answer.data

    async def close(self) -> None:
        """Close the connections."""
        await self._close()


async def connect(settings: Settings, connections: int = CONNECTIONS) -> Database:
    """Make the client that the settings ask for. Talks to nobody yet. Errors: StorageMisconfigured."""
    http = _http(settings.supabase_url or settings.postgrest_url or "", connections)
    if settings.supabase_url:
        return Database(await _supabase(settings, http), http.aclose)
    if settings.postgrest_url:
        headers: Mapping[str, str] = {"Authorization": f"Bearer {_postgrest_key(settings)}"}
        client = AsyncPostgrestClient(
            settings.postgrest_url,
            schema=settings.db_schema,
            headers=dict(headers),
            http_client=http,
            retry_enabled=False,
        )
        return Database(client, http.aclose)
    raise StorageMisconfigured(_NOTHING_SET)


def _http(url: str, connections: int) -> ExactClient:
    address = httpx.URL(url)
    if reachable(address):
        return ExactClient(transport=Http11Transport(address, connections), timeout=TIMEOUT)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections // 2)
    return ExactClient(verify=tls(), timeout=TIMEOUT, limits=limits, trust_env=not is_loopback(url))


async def _supabase(settings: Settings, http: httpx.AsyncClient) -> AsyncPostgrestClient:
    # Imported here: the package takes a tenth of a second and 40 MB that others need not pay.
    from supabase import AsyncClientOptions, SupabaseException, create_async_client  # noqa: PLC0415

    if settings.supabase_key is None:
        message = "SUPABASE_URL is set but SUPABASE_SERVICE_ROLE_KEY is not."
        raise StorageMisconfigured(message)
    options = AsyncClientOptions(
        schema=settings.db_schema, httpx_client=http, auto_refresh_token=False, postgrest_client_retry=False
    )
    try:
        client = await create_async_client(
            settings.supabase_url or "", settings.supabase_key.get_secret_value(), options=options
        )
    except SupabaseException as error:
        message = f"SUPABASE_URL or its key is not usable: {error}"
        raise StorageMisconfigured(message) from error
    return client.postgrest


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
