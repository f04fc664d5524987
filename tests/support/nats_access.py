"""Every way a NATS server lets somebody in: the server's settings for it, and the variables of its client.

For TLS, an authority that nobody trusts, and what it signs for servers and clients on loopback.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = timedelta(days=1)


class Authority:
    """Signs certificates; `certificate` is the file that says so."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = _certificate(self._name, self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.certificate = _written(directory / f"{name}.pem", own.sign(self._key, hashes.SHA256()))

    def sign(self, name: str, passphrase: str = "") -> tuple[str, str]:
        """The files of a certificate for 127.0.0.1 and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(
            _named(name), self._name, key, x509.BasicConstraints(ca=False, path_length=None)
        ).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption(),
        )
        file = self._directory / f"{name}.key"
        file.write_bytes(pem)
        return _written(self._directory / f"{name}.pem", builder.sign(self._key, hashes.SHA256())), str(file)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
        .add_extension(constraints, critical=True)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _written(file: Path, certificate: x509.Certificate) -> str:
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(file)


SECRET = "a/s3cr3t@that:n0body may see"  # noqa: S105 (made up)

Access = Callable[[Path], tuple[dict[str, Any], dict[str, str]]]
"""Writes the files; answers the server's settings and the client's variables."""


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
    """Signed by nobody whom the machine trusts; the token goes over it."""
    authority = Authority(files, "ca")
    cert, key = authority.sign("server")
    settings: dict[str, Any] = {"tls": {"cert_file": cert, "key_file": key}, "authorization": {"token": SECRET}}
    return settings, {"NATS_CA": authority.certificate, "NATS_TOKEN": SECRET}


def mutual_tls(files: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The certificate is how one logs in."""
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
    """What must be seen nowhere, of what a client is told."""
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
