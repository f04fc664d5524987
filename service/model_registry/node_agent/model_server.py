"""Asks a model server for its loaded models: Ollama, or any server of OpenAI's protocol, such as vLLM.

Each call is one request; a `Watch` decides what a missing answer means.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from model_registry.entities.deployment import DeploymentStatus
from model_registry.loopback import is_loopback

log = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0
PATIENCE = 3
"""Consecutive timeouts after which a server is considered gone. Before that it may be busy."""

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is in memory, on its way there, or failed to get there."""

    provider_type: str
    model_id: str
    vram_mb: int | None = None
    """MiB, where the server reports it."""
    context_length: int | None = None
    """Tokens, where the server reports it."""
    state: DeploymentStatus = "loaded"
    """loaded, loading or error."""
    error: str | None = None
    """Why it failed to load."""

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


class ModelServer(ABC):
    """A server on this node. Every request waits for at most `answer_seconds`, and is not retried."""

    name: str
    """The server's kind, for people."""

    def __init__(
        self, url: str, headers: dict[str, str] | None = None, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        """The base URL, without a slash at the end."""
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=answer_seconds, trust_env=not is_loopback(self.url)
        )

    @abstractmethod
    async def loaded(self) -> list[LoadedModel]:
        """Return the loaded models. Errors: NoAnswer."""

    async def available(self) -> list[str]:
        """Return the names of models that the server loads on demand. Errors: NoAnswer."""
        return []

    async def close(self) -> None:
        """Close its connection."""
        await self._http.aclose()


class Ollama(ModelServer):
    """`/api/ps` lists loaded models, `/api/tags` pulled ones."""

    name = "Ollama"

    async def loaded(self) -> list[LoadedModel]:
        """Return the models in memory. Errors: NoAnswer."""
        return [
            LoadedModel("ollama", name, _mib(entry.get("size_vram")), _whole(entry.get("context_length")))
            for entry in await _entries(self._http, "/api/ps", "models")
            if isinstance(name := entry.get("model") or entry.get("name"), str)
        ]

    async def available(self) -> list[str]:
        """Return the pulled models. Errors: NoAnswer."""
        names = [entry.get("name") for entry in await _entries(self._http, "/api/tags", "models")]
        return sorted(name for name in names if isinstance(name, str))


_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp"}
"""`owned_by` of a model -> the provider type. Of other servers it names anything, such as the model's maker."""

_NOT_LOADED = "unloaded not-loaded not_loaded sleeping unloading stopping stopped shutdown downloaded offline"
_STATES: dict[str, DeploymentStatus] = {
    **dict.fromkeys(_NOT_LOADED.split(), "unloaded"),
    **dict.fromkeys(("loading", "starting", "downloading", "queued", "pending"), "loading"),
    **dict.fromkeys(("failed", "error", "load_failed", "load-failed", "crashed"), "error"),
}
"""What servers that load on demand call a model's status. llama.cpp's router: unloaded, loading, loaded, sleeping; LM
Studio: loaded, not-loaded. Any other text, and none, is loaded: vLLM and similar servers load everything at start."""


class OpenAICompatible(ModelServer):
    """`/v1/models`. A listed model counts as loaded unless its status says something else."""

    name = "OpenAI-compatible server"

    def __init__(self, url: str, *, provider_type: str | None = None, api_key: str | None = None) -> None:
        super().__init__(url, {"Authorization": f"Bearer {api_key}"} if api_key else None)
        self._provider_type = provider_type
        self._unloaded: list[str] = []

    async def loaded(self) -> list[LoadedModel]:
        """Return the served models. Errors: NoAnswer."""
        entries = await _entries(self._http, "/v1/models", "data")
        models = [self._model(entry, name) for entry in entries if isinstance(name := entry.get("id"), str)]
        self._unloaded = sorted(model.model_id for model in models if model.state == "unloaded")
        return [model for model in models if model.state != "unloaded"]

    async def available(self) -> list[str]:
        """Return the models that the last answer listed as not loaded."""
        return self._unloaded

    def _model(self, entry: dict[str, Any], name: str) -> LoadedModel:
        kind = self._provider_type or _OWNERS.get(str(entry.get("owned_by")), "openai_compatible")
        state, error = _state(entry.get("status", entry.get("state")))
        return LoadedModel(kind, name, context_length=_whole(entry.get("max_model_len")), state=state, error=error)


def _state(status: object) -> tuple[DeploymentStatus, str | None]:
    """Read a model's status: a word, or llama.cpp's object. A failed model is unloaded there; here it is an error."""
    more = status if isinstance(status, dict) else {"value": status}
    state = _STATES.get(str(more.get("value")).lower(), "loaded")
    if more.get("failed") is not True and state != "error":
        return state, None
    code = more.get("exit_code")
    return "error", "its server failed to load it" + (f" (exit code {code})" if isinstance(code, int) else "")


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as reported to the registry."""

    model: LoadedModel
    endpoint: str
    since: float
    """When it was first seen loaded, in epoch seconds."""
    error: str | None = None
    """Why it is unreachable, although it was loaded when its server answered last."""

    @property
    def state(self) -> DeploymentStatus:
        """The deployment status, in the registry's terms."""
        return self.model.state if self.error is None else "error"

    @property
    def reason(self) -> str | None:
        """Why it is in error."""
        return self.error or self.model.error


@dataclass(slots=True)
class Watch:
    """One server, and the state to report to the registry."""

    server: ModelServer
    endpoint: str
    """The URL at which others reach it."""
    models: dict[str, Listed] = field(default_factory=dict)
    """The models loaded at its last answer; in error while it is gone."""
    available: list[str] = field(default_factory=list)
    """The models that it could load, at its last answer."""
    gone: str | None = None
    """Why it is considered gone."""
    conclusive: bool = False
    """Whether its state is known: until then a status message would report its models as unloaded."""
    trouble: str | None = None
    """Why the last request failed."""
    _missed: int = 0

    def answered(self, loaded: Iterable[LoadedModel], now: float) -> None:
        """Note the loaded models."""
        if self.gone is not None:
            log.info("%s at %s answers again", self.server.name, self.server.url)
        known = self.models
        self.models = {
            model.key: Listed(model, self.endpoint, known[model.key].since if model.key in known else now)
            for model in loaded
        }
        self.gone, self.trouble, self.conclusive, self._missed = None, None, True, 0

    def missed(self, why: NoAnswer) -> None:
        """Note a failed request. Models of a server that is gone are in error: loaded, and unreachable."""
        self._missed += 1
        self.trouble = f"{self.server.name} at {self.server.url} does not answer: {why}"
        if self.gone is not None or (not why.down and self._missed < PATIENCE):
            return
        self.gone, self.conclusive = f"{self.server.name} does not answer: {why}", True
        self.models = {key: replace(listed, error=self.gone) for key, listed in self.models.items()}
        log.warning("%s; %d models are in error", self.trouble, len(self.models))


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
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None
