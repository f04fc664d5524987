"""HTTP calls of commands to a registry, with problem documents turned back into errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from model_registry.client.problems import error_of
from model_registry.errors import RegistryUnreachable

_TIMEOUT = httpx.Timeout(120, connect=5)
"""Seconds. The import of a large project is one long write; a running registry accepts connections at once."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class RegistryHttp:
    """The URL of a registry and the API key to send.

    A call takes at most 120 s (5 s to connect) and is not retried: a write may have succeeded although its response
    was lost, so a retry is the user's decision. Failures become `RegistryUnreachable`, or the error named by the
    registry.
    """

    url: str
    api_key: str | None = None

    def get(self, path: str) -> httpx.Response:
        """GET a path below the registry's URL."""
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any], params: dict[str, str]) -> httpx.Response:
        """POST JSON to a path below the registry's URL."""
        return self._call("POST", path, json=body, params=params)

    def put(self, path: str, content: bytes, params: dict[str, str]) -> httpx.Response:
        """PUT JSON to a path below the registry's URL."""
        return self._call("PUT", path, content=content, params=params, headers={"Content-Type": "application/json"})

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 (passed on to httpx)
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        try:
            # A proxy from the environment cannot reach the loopback of this machine.
            trust_env = urlsplit(self.url).hostname not in _LOOPBACK
            with httpx.Client(timeout=_TIMEOUT, headers=headers, trust_env=trust_env) as client:
                response = client.request(method, f"{self.url.rstrip('/')}{path}", **request)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RegistryUnreachable(f"No registry answers at {self.url} ({error})") from error
        if response.is_success:
            return response
        raise error_of(response)


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a response. Errors: RegistryUnreachable for anything else."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RegistryUnreachable(f"Unexpected response from {response.url}: is it a model registry?")
    return answer
