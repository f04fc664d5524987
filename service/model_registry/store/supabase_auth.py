"""Supabase JWTs: who the bearer is, and what they may do here.

The signature is checked by Supabase's own client, the claims by `token_rules.py`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

import jwt
import structlog

from model_registry.loopback import is_loopback
from model_registry.settings import Settings
from model_registry.store.client import supabase_client, tls
from model_registry.store.token_rules import LONGEST_TOKEN, TokenRules, rules_of

if TYPE_CHECKING:
    import httpx
    from supabase_auth import AsyncGoTrueClient

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 5.0
_LONGEST_NAME = 200
_SERVICE_ROLE = ("service_role", frozenset({"admin"}))


class SupabaseTokens:
    """The tokens of one Supabase project."""

    def __init__(self, auth: AsyncGoTrueClient, own_key: str, rules: TokenRules, http: httpx.AsyncClient) -> None:
        self._auth = auth
        self._rules = rules
        self._own_key = own_key
        self._http = http

    async def scopes(self, token: str) -> tuple[str, frozenset[str]] | None:
        """A token's bearer and scopes; None when it does not hold.

        service_role may do everything. Others may read the catalogue, without any scope, and whatever
        `app_metadata.registry_scopes` of the user grants: only administrators of the project can write that. Asks
        Supabase for its public keys (cached), or, for symmetric tokens, for the user; 5 s at most, not retried. When
        Supabase is away, the token counts as not valid.
        """
        # The project's own service key may be of the symmetric kind, and Supabase knows no user for that one.
        if hmac.compare_digest(token.encode(), self._own_key.encode()):
            return _SERVICE_ROLE
        # Before the project is asked: a token that cannot hold costs nobody a request.
        fault = "it is too long" if len(token) > LONGEST_TOKEN else self._rules.fault(token)
        if fault is not None:
            log.info("a Supabase token was refused", reason=fault)
            return None
        import httpx  # noqa: PLC0415 (as in client.py)
        from supabase import AuthError  # noqa: PLC0415

        try:
            answer = await self._auth.get_claims(token)
        except (AuthError, jwt.PyJWTError, httpx.HTTPError, ValueError) as error:
            log.info("a Supabase token was refused", reason=type(error).__name__)
            return None
        if answer is None:
            return None
        claims: dict[str, Any] = dict(answer["claims"])
        if claims.get("role") == "service_role":
            return _SERVICE_ROLE
        return _name(claims), frozenset(_granted(claims))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def connect_tokens(settings: Settings) -> SupabaseTokens | None:
    """Make the check for the project that the settings name; None where there is none. Talks to nobody yet."""
    if not settings.supabase_url or settings.supabase_key is None:
        return None
    import httpx  # noqa: PLC0415 (as in client.py)

    key = settings.supabase_key.get_secret_value()
    trust_env = not is_loopback(settings.supabase_url)
    http = httpx.AsyncClient(verify=tls(), timeout=_TIMEOUT_SECONDS, trust_env=trust_env)
    client = await supabase_client(settings, http)
    rules = rules_of(settings.supabase_url, settings.jwt_issuers, settings.jwt_audiences)
    return SupabaseTokens(client.auth, key, rules, http)


def _name(claims: dict[str, Any]) -> str:
    """What the change log calls the bearer."""
    named = (claims.get(claim) for claim in ("email", "sub"))
    found = next((name for name in named if isinstance(name, str) and name.isprintable() and name), "supabase user")
    return found[:_LONGEST_NAME]


def _granted(claims: dict[str, Any]) -> list[str]:
    metadata = claims.get("app_metadata")
    scopes = metadata.get("registry_scopes") if isinstance(metadata, dict) else None
    return [scope for scope in scopes if scope in ("admin", "node", "read")] if isinstance(scopes, list) else []
