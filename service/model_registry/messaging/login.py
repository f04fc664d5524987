"""How to reach NATS: its address and a login, as arguments of nats-py's `connect`. Secrets are never shown."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

_DEFAULT_PORT = 4222
_JWT, _SEED = "-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----"


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """NATS_URL: `nats://token@host` or `nats://user:password@host`; several, separated by commas."""

    servers: tuple[str, ...]
    """URLs without secrets, for the client and for logs."""
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    """Arguments of nats-py's `connect`: token, or user and password."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL or a list. Errors: ValueError, with no part of the URL in its message."""
        given = [one.strip() for one in url.split(",")]
        try:
            parts = [_part(one, alone=len(given) == 1) for one in given]
            servers = tuple(_server(part) for part in parts)
        except ValueError:
            message = (
                "NATS_URL cannot be read: it must be nats://[user:password@ or token@]host[:port], with , / ? # [ ] @ "
                ": and % in user, password or token percent-encoded"
            )
            raise ValueError(message) from None  # the cause quotes its input, which may hold a password
        return cls(servers, next((login for part in parts if (login := _login_of(part))), {}))

    def __str__(self) -> str:
        """The servers, for logs."""
        return ", ".join(self.servers)


@dataclass(frozen=True)
class NatsLogin:
    """NATS's address and at most one way to log in. Fields are named like the variables of NATS's own command."""

    url: str = field(repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: str | Path | None = None
    """A file with an nkey's seed, `SU...`."""
    creds: str | Path | None = None
    """A file with a JWT and its seed, as written by `nsc`."""
    ca: str | Path | None = None
    """The certificate authority of the server's certificate, in PEM. Default: those that this machine trusts."""
    cert: str | Path | None = None
    """The client certificate, for servers that require one; `key` is its key. Both in PEM."""
    key: str | Path | None = None

    @cached_property
    def address(self) -> NatsAddress:
        """The servers. Errors: ValueError, when settings contradict each other; its message holds no secret."""
        address = NatsAddress.parse(self.url)
        if (self.user is None) != (self.password is None):
            raise ValueError("NATS_USER and NATS_PASSWORD belong together: one of them is not set")
        if self.key is not None and self.cert is None:
            raise ValueError("NATS_KEY is the key of NATS_CERT, which is not set")
        ways = {
            "NATS_URL": address.credentials or None,
            "NATS_USER": self.user,
            "NATS_TOKEN": self.token,
            "NATS_NKEY": self.nkey,
            "NATS_CREDS": self.creds,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say how to log in to NATS: keep one of them")
        return address

    @property
    def encrypted(self) -> bool:
        """Whether a server that offers no TLS must be refused."""
        return bool(self.ca or self.cert) or any(one.startswith("tls://") for one in self.address.servers)

    def options(self) -> dict[str, Any]:
        """Return arguments for nats-py's `connect`. Reads the files now, so that each new client uses renewed ones.

        nats-py would read them itself, but loops forever on a file without a JWT.

        Errors: ValueError as above, and for a file with wrong content; OSError, when a file cannot be read;
        ModuleNotFoundError, for nkeys and credentials without the package `nkeys`.
        """
        options: dict[str, Any] = {"servers": list(self.address.servers), **self.address.credentials}
        if self.user is not None:
            options |= {"user": self.user, "password": self.password}
        if self.token is not None:
            options["token"] = self.token
        if self.nkey is not None:
            options["nkeys_seed_str"] = _checked_seed(_read(self.nkey).strip(), self.nkey)
        if self.creds is not None:
            options["user_credentials"] = _credentials(self.creds)
        if self.encrypted:
            options["tls"] = self._trust()
        return options

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                # An encrypted key is an error: OpenSSL would ask for its passphrase on the terminal, and wait.
                context.load_cert_chain(self.cert, self.key, password="")
        except (OSError, ValueError) as error:
            files = ", ".join(str(file) for file in (self.ca, self.cert, self.key) if file)
            raise OSError(f"{files}: {error}") from None
        return context


def _read(file: str | Path) -> str:
    return Path(file).read_text("ascii", errors="replace")


def _checked_seed(seed: str, file: str | Path) -> str:
    """Return the seed if it is valid. The error gives no details: the library's message quotes parts of the seed."""
    import nkeys  # noqa: PLC0415 (not in the base install)

    try:
        nkeys.from_seed(bytearray(seed.encode("ascii", "replace"))).wipe()
    except Exception:  # noqa: BLE001 (several libraries raise errors of their own)
        raise ValueError(f"{file} contains no nkey seed (SU...)") from None
    return seed


def _credentials(file: str | Path) -> Any:  # noqa: ANN401 (nats-py's own type)
    """Return a credentials file's content, in the type that nats-py takes for content and not for a path."""
    from nats.aio.client import RawCredentials  # noqa: PLC0415 (not in the base install)

    content = _read(file)
    lines = [line.strip() for line in content.splitlines()]
    following = dict(pairwise(lines))
    if not following.get(_JWT) or _SEED not in following:
        raise ValueError(f"{file} is not a credentials file: it needs a NATS USER JWT and a USER NKEY SEED")
    _checked_seed(following[_SEED], file)
    return RawCredentials("\n".join([*lines, ""]))


def _part(one: str, *, alone: bool) -> SplitResult:
    """Parse one URL. A single one may lack `nats://`; in a list, such an item would be the rest of a secret."""
    part = urlsplit(one if "://" in one or not alone else f"nats://{one}")
    if not part.scheme or "@" in part.path + part.query + part.fragment:
        raise ValueError  # a secret containing / ? or #: its beginning would be taken for the host, and shown
    return part


def _server(part: SplitResult) -> str:
    host, port = part.hostname, part.port or _DEFAULT_PORT
    if not host:
        raise ValueError
    return f"{part.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _login_of(part: SplitResult) -> dict[str, str]:
    """Return the login. As in NATS's own clients, a user without a password is a token."""
    if part.username is None:
        return {}
    if part.password is None:
        return {"token": unquote(part.username)}
    return {"user": unquote(part.username), "password": unquote(part.password)}
