"""Asks a model server for its loaded models: Ollama, or any server of OpenAI's protocol, such as vLLM.

Each call is one request. `watch.py` decides what a missing answer means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from model_registry.loopback import is_loopback

ANSWER_SECONDS = 2.0

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can be used now."""

    provider_type: str
    model_id: str
    vram_mb: int | None = None
    """MiB, where the server reports it."""
    context_length: int | None = None
    """Tokens, where the server reports it."""

    @property
    def key(self) -> str:
        """The model's key in status messages."""
        return f"{self.provider_type}/{self.model_id}"


class NoAnswer(Exception):
    """The server gave no usable answer."""

    def __init__(self, reason: str, *, down: bool = False) -> None:
        super().__init__(reason)
        self.down = down
        """Whether the connection was refused: the server is not just slow."""


class ModelServer(Protocol):
    """A server on this node. Every request waits for at most 2 s, and is not retried."""

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""

    @property
    def name(self) -> str:
        """The server's kind, for people."""

    async def loaded(self) -> list[LoadedModel]:
        """Return the loaded models. Errors: NoAnswer."""

    async def available(self) -> list[str]:
        """Return the names of models that the server could load. Errors: NoAnswer."""

    async def close(self) -> None:
        """Close its connection."""


class Ollama:
    """`/api/ps` lists loaded models, `/api/tags` pulled ones."""

    name = "Ollama"

    def __init__(self, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._http = _http(self.url, answer_seconds=answer_seconds)

    async def loaded(self) -> list[LoadedModel]:
        """Return the models in memory. Errors: NoAnswer."""
        return [
            LoadedModel("ollama", name, _mib(entry.get("size_vram")), _whole(entry.get("context_length")))
            for entry in await _entries(self._http, "/api/ps", "models")
            if isinstance(name := entry.get("model") or entry.get("name"), str)
        ]

    async def available(self) -> list[str]:
        """Return the pulled models, which Ollama loads on demand. Errors: NoAnswer."""
        names = [entry.get("name") for entry in await _entries(self._http, "/api/tags", "models")]
        return sorted(name for name in names if isinstance(name, str))

    async def close(self) -> None:
        """Close its connection."""
        await self._http.aclose()


class OpenAICompatible:
    """`/v1/models`. All listed models count as loaded: vLLM and similar servers load everything at start."""

    name = "OpenAI-compatible server"

    def __init__(self, url: str, *, provider_type: str | None = None, api_key: str | None = None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._provider_type = provider_type
        self._http = _http(self.url, {"Authorization": f"Bearer {api_key}"} if api_key else {})

    async def loaded(self) -> list[LoadedModel]:
        """Return the served models. Errors: NoAnswer."""
        return [
            LoadedModel(
                self._provider_type or ("vllm" if entry.get("owned_by") == "vllm" else "openai_compatible"),
                name,
                context_length=_whole(entry.get("max_model_len")),
            )
            for entry in await _entries(self._http, "/v1/models", "data")
            if isinstance(name := entry.get("id"), str)
        ]

    async def available(self) -> list[str]:
        """Return nothing: all models are loaded."""
        return []

    async def close(self) -> None:
        """Close its connection."""
        await self._http.aclose()


def _http(
    url: str, headers: dict[str, str] | None = None, *, answer_seconds: float = ANSWER_SECONDS
) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=answer_seconds, trust_env=not is_loopback(url))


async def _entries(http: httpx.AsyncClient, path: str, key: str) -> list[dict[str, Any]]:
    """Return the list under a key of the answer. Null is an empty list, as older servers send it."""
    try:
        response = await http.get(path)
        response.raise_for_status()
        listed = response.json()[key] or []
        return [entry for entry in listed if isinstance(entry, dict)]
    except httpx.ConnectError as error:
        raise NoAnswer(f"cannot connect ({error})", down=True) from error
    except httpx.HTTPStatusError as error:
        raise NoAnswer(f"{path} answers {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise NoAnswer(str(error) or f"no answer within {http.timeout.read:g} s ({type(error).__name__})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"{path} does not answer as expected: no JSON object with {key!r}") from error


def _mib(size: object) -> int | None:
    bytes_ = _whole(size)
    return None if bytes_ is None else round(bytes_ / _MIB)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
