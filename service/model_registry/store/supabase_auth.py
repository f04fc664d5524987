"""Supabase JWTs: who the bearer is, and what they may do here.

Supabase's own client checks the signature, with keys from `signing_keys.py`; `TokenRules` the other claims: times,
issuer and audience.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import structlog

from model_registry.entities.api_key import SCOPES
from model_registry.loopback import is_loopback
from model_registry.settings import Settings
from model_registry.store.client import supabase_client, tls
from model_registry.store.signing_keys import SigningKeys

if TYPE_CHECKING:
    import httpx
    from supabase_auth import AsyncGoTrueClient
    from supabase_auth.types import JWKSet

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 5.0
_LONGEST_NAME = 200
_SERVICE_ROLE = ("service_role", frozenset({"admin"}))
SECRET_KEY = "sb_secret_"  # noqa: S105 (a prefix)
"""How a project's newer secret keys begin; they are no JWTs. Publishable keys (`sb_publishable_`) open nothing here."""
LONGEST_TOKEN = 16 * 1024
"""Characters. The largest tokens of real projects have a tenth of that."""
LEEWAY_SECONDS = 30.0
"""Tolerated difference of clocks, the same as in PostgREST."""
_ALGORITHMS = ("HS256", "RS256", "ES256")
"""Algorithms that Supabase signs with."""

_REASONS: dict[type[Exception], str] = {
    jwt.InvalidIssuerError: "its issuer is none of the project's; MODEL_REGISTRY_JWT_ISSUERS allows others",
    jwt.InvalidAudienceError: "it was made for somebody else; MODEL_REGISTRY_JWT_AUDIENCES allows others",
}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Accepted issuers and audiences.

    No claim is required: a Supabase project's older service key has neither `aud` nor `nbf`.
    """

    issuers: frozenset[str]
    audiences: frozenset[str]

    def fault(self, token: str) -> str | None:
        """Say why the token's claims do not hold, for the log; None if they do. The signature is not checked."""
        try:
            read = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            return f"it cannot be read ({type(error).__name__})"
        header, claims = read["header"], read["payload"]
        if header.get("alg") not in _ALGORITHMS:
            return "its algorithm is none that Supabase uses"
        if "crit" in header:
            return "it names extensions that must be understood"
        try:
            self._check(token, claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            return _REASONS.get(type(error), f"its claims do not hold ({type(error).__name__})")
        return None

    def _check(self, token: str, claims: dict[str, Any]) -> None:
        for name in ("exp", "nbf"):
            if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
                raise TypeError(name)
        jwt.decode(
            token,
            options={
                "verify_signature": False,
                "verify_exp": True,
                "verify_nbf": True,
                "verify_aud": "aud" in claims,
                "verify_iss": "iss" in claims,
            },
            audience=sorted(self.audiences),
            issuer=sorted(self.issuers),
            leeway=LEEWAY_SECONDS,
        )


def rules_of(project_url: str, issuers: str, audiences: str) -> TokenRules:
    """The rules of a project; `issuers` and `audiences` are more of them, with commas between."""
    own = {"supabase", f"{project_url.rstrip('/')}/auth/v1"}
    return TokenRules(frozenset(own | _listed(issuers)), frozenset({"authenticated"} | _listed(audiences)))


class SupabaseTokens:
    """The tokens of one Supabase project."""

    def __init__(
        self, auth: AsyncGoTrueClient, own_key: str, rules: TokenRules, keys: SigningKeys, http: httpx.AsyncClient
    ) -> None:
        self._auth = auth
        self._rules = rules
        self._keys = keys
        self._service_key = own_key if _is_service_key(own_key) else None
        self._http = http

    async def scopes(self, token: str) -> tuple[str, frozenset[str]] | None:
        """A bearer's name and scopes; None when the token, or the secret key, does not hold.

        service_role, and so the registry's own secret key, may do everything. Others may read the catalogue, without
        any scope, and whatever `app_metadata.registry_scopes` of the user grants: only administrators of the project
        can write that. Asks Supabase for its public keys (kept for 30 s), or, for symmetric tokens, for the user; 5 s
        at most, not retried. When Supabase is away, symmetric tokens do not hold, and others by the last keys.
        """
        # The project's own service key may be no JWT, or a symmetric one, for which Supabase knows no user.
        if self._service_key and hmac.compare_digest(token.encode(), self._service_key.encode()):
            return _SERVICE_ROLE
        # Before the project is asked: a token that cannot hold costs nobody a request.
        fault = _fault_of_form(token) or self._rules.fault(token)
        if fault is not None:
            log.info("a Supabase token was refused", reason=fault)
            return None
        import httpx  # noqa: PLC0415 (as in client.py)
        from supabase import AuthError  # noqa: PLC0415

        try:
            answer = await self._auth.get_claims(token, await self._keys_of(token))
        except (AuthError, jwt.PyJWTError, httpx.HTTPError, ValueError) as error:
            log.info("a Supabase token was refused", reason=type(error).__name__)
            return None
        if answer is None:
            return None
        claims: dict[str, Any] = dict(answer["claims"])
        if claims.get("role") == "service_role":
            return _SERVICE_ROLE
        return _name(claims), frozenset(_granted(claims))

    async def _keys_of(self, token: str) -> JWKSet | None:
        """The keys of which one signed the token; None for tokens that Supabase itself is asked about.

        Errors: AuthError when none of them did, and those of `SigningKeys`.
        """
        header = jwt.get_unverified_header(token)
        if "kid" not in header or header["alg"] == "HS256":  # as `get_claims` tells them apart
            return None
        return await self._keys.including(header["kid"])

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
    address = f"{settings.supabase_url.rstrip('/')}/auth/v1/.well-known/jwks.json"
    return SupabaseTokens(client.auth, key, rules, SigningKeys(http, address, {"apikey": key}), http)


def _fault_of_form(token: str) -> str | None:
    if token.startswith(SECRET_KEY):
        return "it is not the secret key that the registry has"
    return "it is too long" if len(token) > LONGEST_TOKEN else None


def _is_service_key(key: str) -> bool:
    """Whether this is a project's secret key: its publishable key can stand in its place by mistake, and is public."""
    if key.startswith(SECRET_KEY):
        return True
    try:
        claims = jwt.decode(key, options={"verify_signature": False, "verify_exp": False})
    except (jwt.PyJWTError, ValueError):
        return False
    return claims.get("role") == "service_role"


def _name(claims: dict[str, Any]) -> str:
    """What the change log calls the bearer."""
    named = (claims.get(claim) for claim in ("email", "sub"))
    found = next((name for name in named if isinstance(name, str) and name.isprintable() and name), "supabase user")
    return found[:_LONGEST_NAME]


def _granted(claims: dict[str, Any]) -> list[str]:
    metadata = claims.get("app_metadata")
    scopes = metadata.get("registry_scopes") if isinstance(metadata, dict) else None
    return [scope for scope in scopes if scope in SCOPES] if isinstance(scopes, list) else []


def _listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}
