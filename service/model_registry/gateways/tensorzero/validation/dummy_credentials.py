"""Dummy credentials: the gateway requires credentials before it validates a configuration. These open nothing."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from model_registry.entities.provider_types import GATEWAY_TYPES

_NOT_A_KEY = "not-a-key"
_NOWHERE = "http://127.0.0.1:9"
_LONG_FORM = 0x80
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")

_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBejCCAR+gAwIBAgIUVAiq1hcWg/iEWVc4lRBLcrWmJSYwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyOTIxMzUwNFoYDzIxMjYxMTA1MjEz
NTA0WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASxNDzhNoKDDDck0LK52vUnLsdwTkquEYWV98JRiuzJp1CgZ+Enlf/rw1hqnolS
go5NlqcU+HO1MQN7RyOmieo1o1MwUTAdBgNVHQ4EFgQU5PRHBlyG7X40XRzzgsaJ
YNTFA8QwHwYDVR0jBBgwFoAU5PRHBlyG7X40XRzzgsaJYNTFA8QwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA2dQjIEf+fJmwQ2vv+OX5HZUNykng
KkaWJ5Y5hc4z400CIQCv1EUe/YBRBrfPwPZpTAtW2mQ99UG5M3Sxltv7an8bUw==
-----END CERTIFICATE-----
"""
"""A certificate of an authority whose key was deleted: the gateway's HTTP client requires one."""

ACCOUNT, ADDRESS, AUTHORITY, AUTHORITIES = "service-account.json", "address.txt", "authority.pem", "authorities"
"""In the gateway's working directory: a Google account, a URL, a certificate authority, and an empty directory."""

_OF_URLS = frozenset({"endpoint", "endpoint_url"})
"""Keys of the clouds whose value may name a variable or a file with a URL."""

QUIET: Mapping[str, str] = {
    "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": _NOT_A_KEY,
    "AWS_SECRET_ACCESS_KEY": _NOT_A_KEY,
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "ALL_PROXY": _NOWHERE,
    "SSL_CERT_FILE": AUTHORITY,
    "SSL_CERT_DIR": AUTHORITIES,
    "GOOGLE_APPLICATION_CREDENTIALS": ACCOUNT,
}
"""Variables that keep a gateway from any network access."""

_PATHS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GOOGLE_APPLICATION_CREDENTIALS")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
_RESERVED = re.compile(
    r"(?:LD|DYLD|RUST|SSL|TENSORZERO|MODEL_REGISTRY|MALLOC|GLIBC|TOKIO|OTEL|LC|XDG|GOOGLE|GCE|GCLOUD|CLOUDSDK|"
    r"CLICKHOUSE|OPENSSL|CURL)_.*|"
    r"AWS_(?:ACCOUNT|AUTH|CA|CONFIG|CONTAINER|CREDENTIAL|CSM|DEFAULTS?|DISABLE|EC2|ENABLE|ENDPOINT|EXECUTION|IGNORE|"
    r"IMDS|LOGIN|MAX|METADATA|PROCESS|PROFILE|REGION|REQUEST|RETRY|ROLE|S3|SDK|SHARED|SSO|STS|USE|WEB)(?:_.*)?|PYTHON.*|.*_PROXY|GLIBC_TUNABLES|PATH|HOME|SHELL|USER|LOGNAME|PWD|TMPDIR|TMP|TEMP|"
    r"LANG|LANGUAGE|TZ|TZDIR|IFS|ENV|BASH_ENV|NO_COLOR|TERM|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|NLSPATH|REQUEST_METHOD",
    re.IGNORECASE,
)
"""Variables that programs read on their own. A configuration's text must not set them."""


def environment(texts: Iterable[tuple[str, str]] = (), directory: Path | None = None) -> dict[str, str]:
    """Return the gateway's environment, with a dummy for every variable that a configuration names, `QUIET` unchanged.

    Args:
        texts: the texts in the configuration, each with its key, from `strings`.
        directory: the directory given to `lay_out`; by default the working directory.
    """
    account, address = (str(directory / name) if directory else name for name in (ACCOUNT, ADDRESS))
    fixed = dict(QUIET)
    if directory:
        fixed |= {name: str(directory / fixed[name]) for name in _PATHS}
    for kind in GATEWAY_TYPES.values():
        if kind.credential and kind.credential.variable:
            in_file = kind.credential.scheme == "path_from_env::"
            fixed.setdefault(kind.credential.variable, account if in_file else _NOT_A_KEY)
    asked: dict[str, str] = {}
    for key, value in texts:
        scheme, name = credential_variable(value)
        if name and name not in fixed and not is_reserved(name):
            value_of, file_of = (_NOWHERE, address) if key in _OF_URLS else (_NOT_A_KEY, account)
            asked[name] = file_of if scheme == "path_from_env" else asked.get(name, value_of)
    return fixed | asked


def credential_variable(value: str) -> tuple[str, str]:
    """Split a credential's location into scheme and name of the variable; empty for other texts."""
    if "env::" not in value:
        return "", ""
    scheme, _, name = value.partition("::")
    return (scheme, name) if scheme in {"env", "path_from_env"} and _NAME.fullmatch(name) else ("", "")


def is_reserved(name: str) -> bool:
    """Whether the gateway's process reads a variable on its own."""
    return _RESERVED.fullmatch(name) is not None and name not in _DEFAULT_VARIABLES


_DEFAULT_VARIABLES = frozenset(QUIET) | {
    kind.credential.variable for kind in GATEWAY_TYPES.values() if kind.credential and kind.credential.variable
}
"""Variables with fixed values, which configurations may name and cannot change."""


def stand_in(key: str) -> str:
    """Return the replacement for a credential in a file of the gateway's machine."""
    return _NOWHERE if key in _OF_URLS else f"path::{ACCOUNT}"


def lay_out(directory: Path) -> None:
    """Write the files that the variables name."""
    (directory / ACCOUNT).write_text(service_account_json())
    (directory / ADDRESS).write_text(_NOWHERE)
    (directory / AUTHORITY).write_text(_CERTIFICATE)
    (directory / AUTHORITIES).mkdir(exist_ok=True)


@cache
def service_account_json() -> str:
    """Make a fictitious Google service account with a well-formed key, which is all that the gateway checks."""
    key = base64.encodebytes(_private_key()).decode("ascii")
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "nowhere",
            "private_key_id": "0",
            "private_key": f"-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n",
            "client_email": "nobody@nowhere.iam.gserviceaccount.com",
            "client_id": "0",
            "auth_uri": _NOWHERE,
            "token_uri": _NOWHERE,
            "auth_provider_x509_cert_url": _NOWHERE,
            "client_x509_cert_url": _NOWHERE,
        }
    )


def _private_key() -> bytes:
    """Make an RSA key (PKCS #8: RFC 5958; RFC 8017, A.1.2) of two public primes.

    Google's library signs with it while loading, and requires 2,048 bits. So the repository holds no key.
    """
    e, p, q = 65537, 2**1024 - 105, 3 * 2**1022 + 1037
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    pkcs1 = _der(0x30, b"".join(_der(0x02, i.to_bytes(i.bit_length() // 8 + 1, "big")) for i in numbers))
    return _der(0x30, _der(0x02, b"\0") + _RSA_ENCRYPTION + _der(0x04, pkcs1))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = digits if size < _LONG_FORM else bytes([_LONG_FORM | len(digits)]) + digits
    return bytes([tag]) + length + content
