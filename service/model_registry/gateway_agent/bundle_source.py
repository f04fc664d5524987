"""Where bundles come from: the registry, over HTTP. Asks, waits, and checks that the answer is whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from model_registry.client.blocking import Client
from model_registry.client.bundle import unpack_bundle
from model_registry.client.requests import Call, error_of, json_object, quoted
from model_registry.client.retries import RetryPolicy
from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.errors import NotAllowed, NotAuthenticated, RegistryUnreachable
from model_registry.file_paths import CONFIG_FILE

_BUNDLE = "/api/tensorzero/bundle"
_CONFIGURATION = "/api/tensorzero/config"
_VARIABLES, _MISSING = "x-registry-variables", "x-registry-missing-variables"
_PATIENCE = RetryPolicy(answer=30, connect=5, attempts=1)
_TAG = re.compile(r'(?:W/)?"([A-Za-z0-9._-]{1,100})"')
_DIGEST = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A configuration and the files that it names, as they came."""

    etag: str
    """Without its quotes."""
    revision: str
    files: dict[str, bytes]
    """Path below the bundle's directory -> content."""
    variables: tuple[str, ...] = ()
    """The environment variables that it names: the gateway may not start without them."""


class BundleSource:
    """One registry.

    A question takes at most its wait and 30 s (5 s to connect), and is asked once: the agent decides when to
    ask again.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        *,
        gateway: str | None = None,
    ) -> None:
        """`gateway`: whose bundles; by default those of the one that is there from the start."""
        self.url = url.rstrip("/")
        self._path = _BUNDLE if gateway is None else f"/api/gateways/{quoted(gateway)}/bundle"
        self._environment = f"/api/gateways/{quoted(gateway or DEFAULT_GATEWAY)}/environment"
        self._client = Client(url, api_key, patience=_PATIENCE, transport=transport)
        self.validated = 0
        """The newest revision that was validated, accepted or refused, when the registry answered last."""
        self.pending = False
        """Whether it had a newer one that was not validated yet."""
        self.etag: str | None = None
        """Of what it served then."""
        self.wanted: frozenset[str] = frozenset()
        """The variables that it asked about then: those of the bundle, and those without which rows are left out."""

    def fetch(self, known: Iterable[str] = (), wait: float | None = None) -> Bundle | None:
        """Fetch what the registry serves; None when that is one of the known ones, also after waiting.

        Raises:
            RegistryUnreachable: it does not answer, has nothing to serve, or what came is damaged.
            NotAuthenticated: it requires a key, or another one.
            NotAllowed: the key lacks the right.
        """
        response = self._get(known, wait)
        if response.status_code == httpx.codes.NOT_FOUND and self._path == _BUNDLE:
            self._path = _CONFIGURATION  # an older registry, which knows of no files
            response = self._get(known, wait)
        self._note(response.headers)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            error = error_of(response)
            if isinstance(error, NotAuthenticated | NotAllowed):
                raise error
            raise RegistryUnreachable(f"{self.url} serves no bundle: {error.message}", reasons=error.reasons)
        tag = _TAG.fullmatch(response.headers.get("etag", ""))
        if tag is None:
            raise RegistryUnreachable(f"Unexpected response from {self.url}: it has no valid ETag")
        self._expect_whole(response, tag[1])
        revision, variables = response.headers.get("x-registry-revision", "?"), _names(response.headers, _VARIABLES)
        return Bundle(tag[1], revision, self._files(response.content), variables)

    def report(self, names: Iterable[str], missing: Iterable[str]) -> None:
        """Report which variables the gateway has, and which it has not. Errors: RegistryError."""
        body = {"names": sorted(names), "missing": sorted(missing)}
        self._client.ask(Call("POST", self._environment, json_object, body=body, repeatable=True))

    def _get(self, known: Iterable[str], wait: float | None) -> httpx.Response:
        tags = ", ".join(f'"{tag}"' for tag in known)
        call = Call("GET", self._path, bytes, headers={"If-None-Match": tags} if tags else {})
        return self._client.carry_out(self._client.core.response(call, wait=wait))

    def _note(self, headers: httpx.Headers) -> None:
        revisions = (headers.get(name, "") for name in ("x-registry-revision", "x-registry-refused-revision"))
        self.validated = max((int(revision) for revision in revisions if revision.isdecimal()), default=0)
        self.pending = "x-registry-pending-revision" in headers
        tag = _TAG.fullmatch(headers.get("etag", ""))
        self.etag = tag[1] if tag else None
        self.wanted = frozenset(name for header in (_VARIABLES, _MISSING) for name in _names(headers, header))

    def _expect_whole(self, response: httpx.Response, tag: str) -> None:
        """Compare with the ETag: the BLAKE2b of the body (12 bytes, in hex). The length was compared on the way."""
        if _DIGEST.fullmatch(tag) and hashlib.blake2b(response.content, digest_size=12).hexdigest() != tag:
            raise RegistryUnreachable(f"The bundle from {self.url} is damaged: its content does not match its ETag")

    def _files(self, body: bytes) -> dict[str, bytes]:
        return {CONFIG_FILE: body} if self._path == _CONFIGURATION else unpack_bundle(body)


def _names(headers: httpx.Headers, header: str) -> tuple[str, ...]:
    return tuple(name for part in headers.get(header, "").split(",") if (name := part.strip()))
