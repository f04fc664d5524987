"""The claims that tokens must have. Their signatures are tested with the stand-in for Supabase."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from model_registry.store.supabase_auth import rules_of

RULES = rules_of("https://x.supabase.co/", "https://id.example.org/ , corp", "reporting")
SECRET = "a secret that nobody here looks at, as long as needed"  # noqa: S105
NOW = int(time.time())
BASE: dict[str, Any] = {"sub": "1", "role": "authenticated", "exp": NOW + 86_400}


def token(header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token; a claim of None is not there."""
    said = {name: value for name, value in {**BASE, **claims}.items() if value is not None}
    return jwt.encode(said, SECRET, algorithm="HS256", headers=header)


def raw(header: Any, body: Any, signature: str = "c2ln") -> str:
    """Parts as they are, whether or not they make sense."""
    return ".".join((*(_encoded(part) for part in (header, body)), signature))


def _encoded(part: Any) -> str:
    text = part if isinstance(part, str) else json.dumps(part)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


GOOD = {
    "as Supabase makes them": token(iss="https://x.supabase.co/auth/v1", aud="authenticated"),
    "an older service key": token(iss="supabase", ref="x", role="service_role", iat=NOW - 10**8, exp=NOW + 10**8),
    "nothing said": token(),
    "no end": token(exp=None),
    "one audience of several": token(aud=["other", "authenticated"]),
    "an allowed issuer": token(iss="https://id.example.org/"),
    "another allowed issuer": token(iss="corp"),
    "an allowed audience": token(aud="reporting"),
    "good since now": token(nbf=NOW),
    "a clock that is a little ahead": token(nbf=NOW + 15, iat=NOW + 15),
    "made in the future": token(iat=NOW + 3600),
    "times with fractions": token(nbf=NOW - 0.5, exp=NOW + 86_400.5),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_token_whose_claims_hold_has_no_fault(name: str) -> None:
    assert RULES.fault(GOOD[name]) is None


FAULTY = {
    "another issuer": token(iss="https://y.supabase.co/auth/v1"),
    "the issuer with more behind it": token(iss="https://x.supabase.co/auth/v1/evil"),
    "the issuer in capitals": token(iss="SUPABASE"),
    "issuers": raw({"alg": "HS256"}, {**BASE, "iss": ["supabase"]}),
    "an issuer that is a number": raw({"alg": "HS256"}, {**BASE, "iss": 7}),
    "an issuer that is nothing": raw({"alg": "HS256"}, {**BASE, "iss": None}),
    "an empty issuer": token(iss=""),
    "another audience": token(aud="somebody else"),
    "other audiences": token(aud=["a", "b"]),
    "no audience of a list": token(aud=[]),
    "an empty audience": token(aud=""),
    "an audience that is an object": token(aud={"authenticated": True}),
    "an audience with another type in it": token(aud=["authenticated", 7]),
    "expired": token(exp=NOW - 60),
    "expired long ago": token(exp=0),
    "never valid": token(exp=-(10**18)),
    "not good yet": token(nbf=NOW + 3600),
    "an end that is a text": raw({"alg": "HS256"}, {**BASE, "exp": str(NOW + 86_400)}),
    "an end that is true": raw({"alg": "HS256"}, {**BASE, "exp": True}),
    "an end that is nothing": raw({"alg": "HS256"}, {**BASE, "exp": None}),
    "an end that is a list": raw({"alg": "HS256"}, {**BASE, "exp": [NOW]}),
    "an end that is no number": raw({"alg": "HS256"}, '{"exp": NaN}'),
    "an endless end": raw({"alg": "HS256"}, '{"exp": 1e999}'),
    "a beginning that is a text": raw({"alg": "HS256"}, {**BASE, "nbf": "yesterday"}),
    "a beginning that is false": raw({"alg": "HS256"}, {**BASE, "nbf": False}),
    "a beginning beyond numbers": raw({"alg": "HS256"}, '{"nbf": 1e999}'),
    "a body that is a list": raw({"alg": "HS256"}, [1]),
    "a body that is a text": raw({"alg": "HS256"}, '"x"'),
    "a body that is nothing": raw({"alg": "HS256"}, "null"),
    "a deep body": raw({"alg": "HS256"}, '{"a":' * 3000 + "1" + "}" * 3000),
    "a header that is a list": raw([], BASE),
    "a header that is a text": raw('"x"', BASE),
    "extensions to understand": token({"crit": ["exp"]}),
    "no parts": "abc",
    "empty parts": "..",
    "four parts": token() + ".x",
    "a part that is no base64": "%%.%%.%%",
    "NUL": "\0.\0.\0",
    **{
        f"alg {alg!r}": raw({"alg": alg}, BASE)
        for alg in ("none", "None", "NONE", "", None, 7, ["HS256"], {"a": 1}, "HS384", "PS256", "EdDSA", "hs256")
    },
    "no alg": raw({"typ": "JWT"}, BASE),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_token_whose_claims_do_not_hold_has_a_fault_and_raises_nothing(name: str) -> None:
    assert RULES.fault(FAULTY[name])


def test_what_is_not_allowed_by_a_setting_does_not_hold() -> None:
    strict = rules_of("https://x.supabase.co", "", "")

    assert strict.fault(GOOD["as Supabase makes them"]) is None
    assert strict.fault(GOOD["an allowed issuer"])
    assert strict.fault(GOOD["an allowed audience"])
