"""A copy of the catalogue that a thread keeps current; and how blocking code runs a flow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

import httpx

from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Flow, Pause, Reply, Send, Step, Tell
from model_registry.messaging.change_notifier import ChangeNotifier

log = logging.getLogger(__name__)

T = TypeVar("T")


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
            _heard(self._callback, step.catalogue)
        reply = perform(self._http, step, self._pause, self._news)
        if self._ended.is_set():
            raise _Ended
        return reply

    def _pause(self, seconds: float) -> None:
        self._ended.wait(seconds)


class _Ended(Exception):
    """The subscription was closed."""


def run_flow(flow: Flow[T], do: Callable[[Step], Reply]) -> T:
    """Do the steps of a flow, and return its result."""
    try:
        step = next(flow)
        while True:
            step = flow.send(do(step))
    except StopIteration as ended:
        result: T = ended.value
        return result


def perform(
    http: httpx.Client, step: Step, pause: Callable[[float], object], news: ChangeNotifier | None = None
) -> Reply:
    """One step, blocking."""
    if isinstance(step, Pause):
        news.wait(step.seconds) if step.news and news is not None else pause(step.seconds)
    if not isinstance(step, Send):
        return None
    try:
        return http.send(step.request)
    except httpx.HTTPError as error:
        return error


def _heard(callback: Callable[[Catalogue], object], catalogue: Catalogue) -> None:
    try:
        callback(catalogue)
    except Exception:  # a listener must not keep the copy from being current
        log.exception("a listener failed")
