"""Where bundles come from: the registry, over HTTP. Asks, waits, and looks whether what came is whole."""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from model_registry.errors import NotAllowed, NotAuthenticated, RegistryError, RegistryUnreachable

_BUNDLE = "/api/tensorzero/bundle"
_CONFIGURATION = "/api/tensorzero/config"
_CONFIGURATION_FILE = "tensorzero.toml"
_ANSWER_SECONDS = 30
_CONNECT_SECONDS = 5
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
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


class BundleSource:
    """One registry.

    A question takes at most its wait and 30 s (5 s to connect), and is asked once; who asks decides when to ask again.
    """

    def __init__(self, url: str, api_key: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._path = _BUNDLE
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            # A proxy from the environment cannot reach the loopback of this machine.
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
            transport=transport,
        )
        self.judged = 0
        """The newest revision that had a verdict, good or bad, when the registry answered last."""
        self.pending = False
        """Whether it had a newer one that had none yet."""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def fetch(self, known: Iterable[str] = (), wait: float | None = None) -> Bundle | None:
        """What the registry serves, or None when that is one of the known ones, also after waiting.

        Raises:
            RegistryUnreachable: it does not answer, has nothing to serve, or what came is damaged.
            NotAuthenticated: it wants a key, or another one.
            NotAllowed: the key does not do.
        """
        response = self._get(known, wait)
        if response.status_code == httpx.codes.NOT_FOUND and self._path == _BUNDLE:
            self._path = _CONFIGURATION  # an older registry, which knows of no files
            response = self._get(known, wait)
        self._note(response.headers)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        tag = _TAG.fullmatch(response.headers.get("etag", ""))
        if tag is None:
            raise RegistryUnreachable(f"{self.url} answered without a usable ETag, and not as a registry does")
        self._expect_whole(response, tag[1])
        return Bundle(tag[1], response.headers.get("x-registry-revision", "?"), self._files(response.content))

    def _get(self, known: Iterable[str], wait: float | None) -> httpx.Response:
        tags = ", ".join(f'"{tag}"' for tag in known)
        try:
            return self._client.get(
                self.url + self._path,
                params={} if wait is None else {"wait": f"{wait:g}"},
                headers={"If-None-Match": tags} if tags else {},
                timeout=httpx.Timeout(_ANSWER_SECONDS + (wait or 0), connect=_CONNECT_SECONDS),
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RegistryUnreachable(f"No registry answers at {self.url} ({error})") from error

    def _note(self, headers: httpx.Headers) -> None:
        said = (headers.get(name, "") for name in ("x-registry-revision", "x-registry-refused-revision"))
        self.judged = max((int(revision) for revision in said if revision.isdecimal()), default=0)
        self.pending = "x-registry-pending-revision" in headers

    def _refusal(self, response: httpx.Response) -> RegistryError:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        detail = problem.get("detail") if isinstance(problem, dict) else None
        message = f"{self.url} answered {response.status_code}: {detail or 'not as a registry does'}"
        kinds: dict[int, type[RegistryError]] = {401: NotAuthenticated, 403: NotAllowed}
        return kinds.get(response.status_code, RegistryUnreachable)(message)

    def _expect_whole(self, response: httpx.Response, tag: str) -> None:
        """The length was compared on the way; a registry's ETag is the BLAKE2b of the body (12 bytes, in hex)."""
        if _DIGEST.fullmatch(tag) and hashlib.blake2b(response.content, digest_size=12).hexdigest() != tag:
            raise RegistryUnreachable(f"What came from {self.url} is damaged: it is not what its ETag says")

    def _files(self, body: bytes) -> dict[str, bytes]:
        if self._path == _CONFIGURATION:
            return {_CONFIGURATION_FILE: body}
        try:
            with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
                members = [(_inside(member.name), archive.extractfile(member)) for member in archive if member.isfile()]
                files = {path: content.read() for path, content in members if content is not None}
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise RegistryUnreachable(f"The bundle from {self.url} cannot be read: {error}") from error
        if _CONFIGURATION_FILE not in files:
            raise RegistryUnreachable(f"The bundle from {self.url} has no {_CONFIGURATION_FILE} in it")
        return files


def _inside(name: str) -> str:
    path = posixpath.normpath(name)
    if posixpath.isabs(path) or path in (".", "..") or path.startswith("../"):
        message = f"{name!r} leads out of the bundle"
        raise ValueError(message)
    return path
