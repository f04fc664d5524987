"""The blocking client: its operations are in `operations.py`, retries and fallbacks in `core.py`. Does the I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from model_registry.client.address import Addressed
from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Flow, RetryPolicy
from model_registry.client.requests import Call
from model_registry.client.subscription import Subscription, perform, run_flow
from model_registry.loopback import is_loopback
from model_registry.messaging.change_notifier import ChangeNotifier
from model_registry.messaging.login import NatsLogin

T = TypeVar("T")


class Client(Addressed):
    """A registry, from blocking code. One thread at a time.

    Args:
        url: the registry's; else MODEL_REGISTRY_URL, else this machine's port 8110.
        api_key: a key; else MODEL_REGISTRY_API_KEY. Reading usually needs none.
        cache_dir: a directory for the last answers, for when the registry is away. Without it they are in memory.
        patience: timeouts, attempts and pauses.
        transport: instead of the network.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, cache_dir=cache_dir, patience=patience)
        self._transport = transport
        self._http = self._new_http()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, call: Call[T]) -> T:
        """Ask what has no method of its own. Errors: RegistryUnreachable, or what the registry answers."""
        return self.carry_out(self.core.ask(call))

    def catalogue(self) -> Catalogue:
        """Get the whole catalogue at one revision; with the registry away the last copy of it, which knows its age."""
        return self.carry_out(self.core.catalogue())

    def carry_out(self, flow: Flow[T]) -> T:
        """Do what a flow says, and return its result."""
        return run_flow(flow, lambda step: perform(self._http, step, time.sleep))

    def on_change(
        self, callback: Callable[[Catalogue], object], *, wait: float = 30.0, nats_url: str | None = None
    ) -> Subscription:
        """Call back, in a thread of its own, with the catalogue as it is and then with every new one.

        Args:
            callback: gets a `Catalogue`. An exception of the callback is logged.
            wait: for how long one question waits at the registry, in seconds; with NATS, how often it is asked anyway.
            nats_url: learn of changes from NATS (needs nats-py) instead of waiting at the registry.
        """
        news = ChangeNotifier(NatsLogin(nats_url)) if nats_url else None
        return Subscription(self.new_core().follow(wait, news=news is not None), self._new_http(), callback, news)

    def _new_http(self) -> httpx.Client:
        return httpx.Client(trust_env=not is_loopback(self.url), transport=self._transport)
