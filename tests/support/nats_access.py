"""Every kind of login to NATS: the settings of the server, and the variables of its client."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nkeys

from support.certificates import Authority

SECRET = "a/s3cr3t@that:n0body may see"  # noqa: S105 (made up)

Access = Callable[[Path], tuple[dict[str, Any], dict[str, str]]]
"""Writes the files; returns the server's settings and the client's variables."""


def user_and_password(_files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    settings: dict[str, Any] = {"authorization": {"user": "registry", "password": SECRET}}
    return settings, {"NATS_USER": "registry", "NATS_PASSWORD": SECRET}


def token(_files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    settings: dict[str, Any] = {"authorization": {"token": SECRET}}
    return settings, {"NATS_TOKEN": SECRET}


def nkey(files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    seed = _seed(nkeys.PREFIX_BYTE_USER)
    settings: dict[str, Any] = {"authorization": {"users": [{"nkey": _public(seed)}]}}
    return settings, {"NATS_NKEY": _file(files / "user.nk", seed.decode() + "\n")}


def creds(files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The server trusts an operator, who has signed accounts, one of which has signed the user."""
    operator, system, account, user = (
        _seed(kind)
        for kind in (
            nkeys.PREFIX_BYTE_OPERATOR,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_USER,
        )
    )
    unlimited = dict.fromkeys(
        ("subs", "conn", "leaf", "imports", "exports", "data", "payload", "mem_storage", "disk_storage", "streams"), -1
    ) | {"consumer": -1, "wildcards": True}
    settings: dict[str, Any] = {
        "authorization": None,
        "operator": _jwt(operator, operator, {"type": "operator", "version": 2}),
        "system_account": _public(system),
        "resolver": "MEMORY",
        "resolver_preload": {
            _public(system): _jwt(operator, system, {"type": "account", "version": 2}),
            _public(account): _jwt(operator, account, {"type": "account", "version": 2, "limits": unlimited}),
        },
    }
    claims = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    parts = [
        "-----BEGIN NATS USER JWT-----",
        _jwt(account, user, claims),
        "------END NATS USER JWT------",
        "",
        "-----BEGIN USER NKEY SEED-----",
        user.decode(),
        "------END USER NKEY SEED------",
    ]
    return settings, {"NATS_CREDS": _file(files / "user.creds", "\n".join([*parts, ""]))}


def tls(files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """TLS with a certificate that the machine does not trust; the token is sent over it."""
    authority = Authority(files, "ca")
    cert, key = authority.sign("server")
    settings: dict[str, Any] = {"tls": {"cert_file": cert, "key_file": key}, "authorization": {"token": SECRET}}
    return settings, {"NATS_CA": authority.certificate, "NATS_TOKEN": SECRET}


def mutual_tls(files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The client logs in with its certificate."""
    authority = Authority(files, "ca")
    cert, key = authority.sign("server")
    settings: dict[str, Any] = {
        "tls": {"cert_file": cert, "key_file": key, "ca_file": authority.certificate, "verify_and_map": True},
        "authorization": {"users": [{"user": "CN=registry"}]},
    }
    own, own_key = authority.sign("registry")
    return settings, {"NATS_CA": authority.certificate, "NATS_CERT": own, "NATS_KEY": own_key}


ALL: tuple[Access, ...] = (user_and_password, token, nkey, creds, tls, mutual_tls)


def secrets(variables: dict[str, str]) -> list[str]:
    """Those parts of a client's settings that must never be shown."""
    found = ["s3cr3t", "n0body"] if SECRET in variables.values() else []
    for name in ("NATS_NKEY", "NATS_CREDS", "NATS_KEY"):
        if name in variables:
            lines = Path(variables[name]).read_text().splitlines()
            found += [line for line in lines if line and not line.startswith("-")]
    return found


def _seed(kind: int) -> bytes:
    seed: bytes = nkeys.encode_seed(os.urandom(32), kind)
    return seed


def _public(seed: bytes) -> str:
    public: str = nkeys.from_seed(bytearray(seed)).public_key.decode()
    return public


def _jwt(signer: bytes, subject: bytes, claims: dict[str, Any]) -> str:
    content = {"jti": "made up", "iat": 1, "iss": _public(signer), "name": "test", "sub": _public(subject)}
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, {**content, "nats": claims}]
    body = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{body}.{_base64(nkeys.from_seed(bytearray(signer)).sign(body.encode()))}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _file(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)
