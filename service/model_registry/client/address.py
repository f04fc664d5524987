"""The address of a registry, and the key: what the blocking and the asynchronous client have in common."""

from __future__ import annotations

import os
from pathlib import Path

from model_registry.client.core import Core, RetryPolicy
from model_registry.client.operations import Operations
from model_registry.client.response_cache import Answers

DEFAULT_URL = "http://127.0.0.1:8110"


class Addressed(Operations):
    """The base of both clients. Arguments: see `Client`; both name them again, for `help()` and type checkers."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: RetryPolicy | None = None,
    ) -> None:
        self.url = url or os.environ.get("MODEL_REGISTRY_URL") or DEFAULT_URL
        self._key = api_key or os.environ.get("MODEL_REGISTRY_API_KEY")
        self._cache_dir = cache_dir
        self._patience = patience or RetryPolicy()
        self.core = self.new_core()

    @property
    def stale_seconds(self) -> float | None:
        """How old the last answer was when the registry could not confirm it, in seconds; None otherwise."""
        return self.core.stale_seconds

    def new_core(self) -> Core:
        """Make another core for the same registry, with its own answers in memory: for another thread or task."""
        return Core(self.url, self._key, self._patience, Answers(self._cache_dir))
