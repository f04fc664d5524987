"""Check the claims of a token whose signature is good: its times, issuer and audience. Pure.

No claim is required: a Supabase project's older service key has neither `aud` nor `nbf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

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
    """Accepted issuers and audiences."""

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


def _listed(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}
