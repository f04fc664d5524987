"""The blocking client: its operations are in `operations.py`, retries and fallbacks in `core.py`. Does the I/O."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from types import TracebackType
from typing import Self, TypeVar

import httpx

from model_registry.client.blocking_flow import perform, run_flow
from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Flow, Step, Tell
from model_registry.client.job_operations import JobFollower
from model_registry.client.operations import BaseClient
from model_registry.client.requests import Call, Json
from model_registry.client.retries import Reply
from model_registry.loopback import is_loopback
from model_registry.messaging.change_notifier import ChangeNotifier
from model_registry.messaging.login import NatsLogin

log = logging.getLogger(__name__)

T = TypeVar("T")


class Client(BaseClient[httpx.Client, httpx.BaseTransport]):
    """A registry, from blocking code. One thread at a time.

    Args:
        url: the registry's; else MODEL_REGISTRY_URL, else this machine's port 8110.
        api_key: a key; else MODEL_REGISTRY_API_KEY. Reading usually needs none.
        cache_dir: a directory for the last answers, for when the registry is away. Without it they are in memory.
        patience: timeouts, attempts and pauses.
        transport: instead of the network.
    """

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

    def follow_job(self, job_id: str) -> Iterator[Json]:
        """Yield a job as it is, and after each change, until it has ended. A connection that breaks is made anew.

        Errors: NotFound, NotAllowed; RegistryUnreachable, when the registry stays away.
        """
        follower = JobFollower(self.core, job_id, self._patience)
        while True:
            problem: httpx.HTTPError | httpx.Response | None = None
            try:
                with closing(self._http.send(follower.request(), stream=True)) as response:
                    if response.is_success:
                        for piece in response.iter_bytes():
                            yield from follower.jobs(piece)
                    else:
                        response.read()
                        problem = response
            except httpx.HTTPError as error:
                problem = error
            if follower.ended:
                return
            time.sleep(follower.pause(problem))

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


class Subscription:
    """A copy of the catalogue that is kept current until it is closed."""

    def __init__(
        self, flow: Flow[None], http: httpx.Client, callback: Callable[[Catalogue], object], news: ChangeNotifier | None
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
        """Stop. A question that waits at the registry ends with its answer: wait up to `seconds` for that."""
        self._ended.set()
        if self._news is not None:
            self._news.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        with self._http, suppress(_Ended):
            run_flow(self._flow, self._step)

    def _step(self, step: Step) -> Reply:
        if isinstance(step, Tell):
            self._catalogue = step.catalogue
            self._first.set()
            _notify(self._callback, step.catalogue)
        reply = perform(self._http, step, self._ended.wait, self._news)
        if self._ended.is_set():
            raise _Ended
        return reply


class _Ended(Exception):
    """The subscription was closed."""


def _notify(callback: Callable[[Catalogue], object], catalogue: Catalogue) -> None:
    try:
        callback(catalogue)
    except Exception:  # a listener must not keep the copy from being current
        log.exception("a listener failed")
