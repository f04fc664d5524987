"""The two clients: what they can do is in `operations.py`, how it is asked in `core.py`; here is the I/O, twice."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from model_registry.client.answers import Answers
from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Core, Flow, Patience, Pause, Reply, Send, Step, Tell
from model_registry.client.news import NatsNews
from model_registry.client.operations import Operations
from model_registry.messaging.login import NatsLogin

log = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8110"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class _Made(Operations):
    """What both are made of."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._url = url or os.environ.get("MODEL_REGISTRY_URL") or DEFAULT_URL
        self._key = api_key or os.environ.get("MODEL_REGISTRY_API_KEY")
        self._cache_dir = cache_dir
        self._patience = patience or Patience()
        self.core = self._new_core()

    @property
    def stale_seconds(self) -> float | None:
        """How old the last answer was when nobody could say that it is current; None while all is well."""
        return self.core.stale_seconds

    def _new_core(self) -> Core:
        return Core(self._url, self._key, self._patience, Answers(self._cache_dir))

    @property
    def _trust_env(self) -> bool:
        """A proxy of the environment cannot reach this machine's own loopback."""
        try:
            return httpx.URL(self._url).host not in _LOOPBACK
        except httpx.InvalidURL:
            return True  # said when something is asked


class Client(_Made):
    """A registry, from blocking code. One thread at a time.

    Args:
        url: the registry's; else MODEL_REGISTRY_URL, else this machine's port 8110.
        api_key: a key; else MODEL_REGISTRY_API_KEY. Reading usually needs none.
        cache_dir: where the last answers are kept, for when the registry is away. Without it they are in memory.
        patience: timeouts, attempts and pauses.
        transport: instead of the network.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: Patience | None = None,
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

    def carry_out(self, flow: Flow[T]) -> T:
        """Do what a flow says, and answer what it comes to."""
        return _driven(flow, lambda step: _done(self._http, step, time.sleep))

    def on_change(
        self, callback: Callable[[Catalogue], object], *, wait: float = 30.0, nats_url: str | None = None
    ) -> Subscription:
        """Call back, in a thread of its own, with the catalogue as it is and then with every other one.

        Args:
            callback: gets a `Catalogue`. What it raises is logged.
            wait: for how long one question waits at the registry; with NATS, how often it is asked all the same.
            nats_url: hear of changes from NATS (needs nats-py) instead of waiting at the registry.
        """
        news = NatsNews(NatsLogin(nats_url)) if nats_url else None
        return Subscription(self._new_core().follow(wait, news=news is not None), self._new_http(), callback, news)

    def _new_http(self) -> httpx.Client:
        return httpx.Client(trust_env=self._trust_env, transport=self._transport)


class Subscription:
    """A copy of the catalogue that is kept current until it is closed."""

    def __init__(
        self, flow: Flow[None], http: httpx.Client, callback: Callable[[Catalogue], object], news: NatsNews | None
    ) -> None:
        self._flow = flow
        self._http = http
        self._callback = callback
        self._news = news
        self._ended = threading.Event()
        self._first = threading.Event()
        self._catalogue: Catalogue | None = None
        self._thread = threading.Thread(target=self._run, name="model-registry", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def catalogue(self) -> Catalogue | None:
        """The newest copy; None before the first one."""
        return self._catalogue

    def first(self, seconds: float = 30.0) -> Catalogue | None:
        """The newest copy, after waiting for the first one."""
        self._first.wait(seconds)
        return self._catalogue

    def close(self, seconds: float = 0.0) -> None:
        """Stop. A question that is waiting at the registry ends when it is answered: wait for that, if you like."""
        self._ended.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        with self._http, suppress(_Ended):
            _driven(self._flow, self._step)

    def _step(self, step: Step) -> Reply:
        if isinstance(step, Tell):
            self._catalogue = step.catalogue
            self._first.set()
            _heard(self._callback, step.catalogue)
        reply = _done(self._http, step, self._pause, self._news)
        if self._ended.is_set():
            raise _Ended
        return reply

    def _pause(self, seconds: float) -> None:
        self._ended.wait(seconds)


class AsyncClient(_Made):
    """A registry, from asynchronous code: every operation is awaited. Made as `Client` is."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, api_key, cache_dir=cache_dir, patience=patience)
        self._http = httpx.AsyncClient(trust_env=self._trust_env, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def carry_out(self, flow: Flow[T]) -> T:
        """Do what a flow says, and answer what it comes to."""
        return await _driven_async(flow, self._step)

    def on_change(
        self,
        callback: Callable[[Catalogue], Awaitable[object] | object],
        *,
        wait: float = 30.0,
        nats_url: str | None = None,
    ) -> asyncio.Task[None]:
        """As `Client.on_change`, in a task: cancel it to stop. The callback may be asynchronous."""
        news = NatsNews(NatsLogin(nats_url)) if nats_url else None

        async def step(step: Step) -> Reply:
            if isinstance(step, Tell):
                await _heard_async(callback, step.catalogue)
            if isinstance(step, Pause) and step.news and news is not None:
                await asyncio.to_thread(news.wait, step.seconds)
                return None
            return await self._step(step)

        flow = self._new_core().follow(wait, news=news is not None)
        return asyncio.create_task(_driven_async(flow, step), name="model-registry")

    async def _step(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        if not isinstance(step, Send):
            return None
        try:
            return await self._http.send(step.request)
        except httpx.HTTPError as error:
            return error


class _Ended(Exception):
    """Nobody listens any more."""


def _done(http: httpx.Client, step: Step, pause: Callable[[float], object], news: NatsNews | None = None) -> Reply:
    """One step, blocking."""
    if isinstance(step, Pause):
        news.wait(step.seconds) if step.news and news is not None else pause(step.seconds)
    if not isinstance(step, Send):
        return None
    try:
        return http.send(step.request)
    except httpx.HTTPError as error:
        return error


def _driven(flow: Flow[T], do: Callable[[Step], Reply]) -> T:
    try:
        step = next(flow)
        while True:
            step = flow.send(do(step))
    except StopIteration as ended:
        found: T = ended.value
        return found


async def _driven_async(flow: Flow[T], do: Callable[[Step], Awaitable[Reply]]) -> T:
    try:
        step = next(flow)
        while True:
            step = flow.send(await do(step))
    except StopIteration as ended:
        found: T = ended.value
        return found


def _heard(callback: Callable[[Catalogue], object], catalogue: Catalogue) -> None:
    try:
        callback(catalogue)
    except Exception:  # whoever listens must not keep the copy from being current
        log.exception("a listener failed")


async def _heard_async(callback: Callable[[Catalogue], Any], catalogue: Catalogue) -> None:
    try:
        answer = callback(catalogue)
        if inspect.isawaitable(answer):
            await answer
    except Exception:  # as above
        log.exception("a listener failed")
