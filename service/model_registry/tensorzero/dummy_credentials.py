"""Credentials that open nothing: what the gateway must be given before it looks at a configuration."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from model_registry.tensorzero.provider_types import GATEWAY_TYPES

_NOT_A_KEY = "not-a-key"
_NOWHERE = "http://127.0.0.1:9"
_LONG_FORM = 0x80
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")

QUIET: Mapping[str, str] = {
    "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": _NOT_A_KEY,
    "AWS_SECRET_ACCESS_KEY": _NOT_A_KEY,
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
}
"""Nothing here lets a gateway talk to anybody."""


def environment(tree: Mapping[str, Any], service_account: str) -> dict[str, str]:
    """Every variable that this configuration may ask for.

    Args:
        tree: the configuration.
        service_account: the path of a file with `service_account_json()` in it.
    """
    variables = {**QUIET, "GOOGLE_APPLICATION_CREDENTIALS": service_account}
    for kind in GATEWAY_TYPES.values():
        if kind.credential and kind.credential.variable:
            in_file = kind.credential.scheme == "path_from_env::"
            variables[kind.credential.variable] = service_account if in_file else _NOT_A_KEY
    for key, value in _strings("", tree):
        scheme, separator, name = value.partition("::")
        if separator and scheme in {"env", "path_from_env"} and name and not set("=\0") & set(name):
            made_up = _NOWHERE if key == "endpoint" else _NOT_A_KEY  # Azure's may come from the environment too
            variables[name] = service_account if scheme == "path_from_env" else variables.get(name, made_up)
    return variables


def _strings(key: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (any TOML value)
    """Every string with the key that it stands under."""
    match value:
        case str():
            yield key, value
        case dict():
            for name, item in value.items():
                yield from _strings(name, item)
        case list():
            for item in value:
                yield from _strings(key, item)


@cache
def service_account_json() -> str:
    """A Google service account that does not exist. Its key is well-formed, which is all that the gateway looks at."""
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
    """An RSA key (PKCS #8: RFC 5958; RFC 8017, A.1.2) of two primes that everybody knows.

    Google's library signs with it while loading, and asks for 2,048 bits. No key has to lie in the repository.
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
