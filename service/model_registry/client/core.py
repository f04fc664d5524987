"""The flow of a request: attempts, ETags, fallback to the last answer, and errors. Does no I/O.

A flow is a generator. It yields the next step (`Send`, `Pause`, `Tell`) and receives the step's result, so that the
blocking and the asynchronous client are two small loops around the same logic.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import httpx

from model_registry.client.requests import Call, error_of
from model_registry.client.response_cache import Answers, Kept
from model_registry.client.retries import Reply, RetryPolicy, is_away
from model_registry.entities.base import json_problem
from model_registry.errors import Invalid, RegistryUnreachable

if TYPE_CHECKING:
    from model_registry.client.catalogue import Catalogue

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is a response, or the error of the transport."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, in seconds. With `news`: at most this long, until something may have changed."""

    seconds: float
    news: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Call the listeners."""

    catalogue: Catalogue


Step = Send | Pause | Tell
Flow = Generator[Step, Reply, T]


class Core:
    """One registry: requests to it, and the last answers."""

    def __init__(
        self,
        url: str,
        api_key: str | None,
        patience: RetryPolicy,
        answers: Answers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._patience = patience
        self._answers = answers
        self._clock = clock
        self.stale_seconds: float | None = None
        """How old the last answer was, unless the registry confirmed it."""

    def ask(self, call: Call[T], *, wait: float | None = None, offline: bool = True) -> Flow[T]:
        """Ask until there is an answer.

        Args:
            call: the question.
            wait: for how long the registry may hold the answer back until it changes, in seconds.
            offline: with the registry away, return the last answer.

        Raises:
            RegistryUnreachable: no answer, or not one of a registry, and no last answer.
            RegistryError: the error that the registry answers.
        """
        key = f"{self.url}{call.path}?{_query(call.params)}"
        kept = self._answers.get(key) if call.method == "GET" else None
        reply = yield from self._exchange(call, kept, wait)
        if is_away(reply) and kept is not None and offline:
            return self._from_before(call, kept, reply)
        return self._read(call, key, kept, self._response(reply))

    def response(self, call: Call[Any], *, wait: float | None = None) -> Flow[httpx.Response]:
        """As `ask`, for the answer as it comes, whatever its status; none is kept. Errors: RegistryUnreachable."""
        return self._response((yield from self._exchange(call, None, wait)))

    def _exchange(self, call: Call[Any], kept: Kept | None, wait: float | None) -> Flow[Reply]:
        attempt = 1
        while True:
            reply = yield Send(self._request(call, kept, wait))
            pause = self._patience.pause(call, reply, attempt)
            if pause is None:
                return reply
            yield Pause(pause)
            attempt += 1

    def _response(self, reply: Reply) -> httpx.Response:
        if not isinstance(reply, httpx.Response):
            raise RegistryUnreachable(f"No registry answers at {self.url} ({reply})") from reply
        return reply

    def _request(self, call: Call[Any], kept: Kept | None, wait: float | None) -> httpx.Request:
        headers = {**self._headers, **call.headers}
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        if kept is not None:
            headers["If-None-Match"] = kept.etag
        if call.etag is not None:
            headers["If-Match"] = call.etag
        params = {name: value for name, value in call.params.items() if value is not None}
        if wait is not None:
            params["wait"] = f"{wait:g}"
        answer = self._patience.answer + (wait or 0)
        timeout = httpx.Timeout(answer, connect=self._patience.connect).as_dict()
        query = f"?{_query(params)}" if params else ""
        url = f"{self.url}{call.path}{query}"
        try:
            return httpx.Request(
                call.method,
                url,
                headers=headers,
                content=call.content,
                json=call.body,
                extensions={"timeout": timeout},
            )
        except (httpx.InvalidURL, ValueError) as error:
            if problem := json_problem(call.body):
                raise Invalid(f"This cannot be sent as JSON: it {problem}.") from error
            raise RegistryUnreachable(f"{url} is not a valid URL of a registry: {error}") from error

    def stream_request(self, call: Call[Any], idle_seconds: float) -> httpx.Request:
        """Make the request of a stream, in which nothing may come for this long. Errors: RegistryUnreachable."""
        request = self._request(call, None, None)
        request.extensions["timeout"]["read"] = idle_seconds
        return request

    def _from_before(self, call: Call[T], kept: Kept, reply: Reply) -> T:
        self.stale_seconds = max(0.0, self._clock() - kept.at)
        why = reply.status_code if isinstance(reply, httpx.Response) else reply
        log.warning("the registry cannot be reached (%s); using its response of %.0f s ago", why, self.stale_seconds)
        return self._value(call, kept)

    def _read(self, call: Call[T], key: str, kept: Kept | None, reply: httpx.Response) -> T:
        age = reply.headers.get("x-registry-stale", "")
        self.stale_seconds = float(age) if age.isdigit() else None
        if reply.status_code == httpx.codes.NOT_MODIFIED and kept is not None:
            self._answers.confirm(key, self._clock())
            return self._value(call, kept)
        if not reply.is_success:
            raise error_of(reply)
        value = self._parsed(call, reply.content)
        if call.method == "GET" and (etag := reply.headers.get("etag")):
            self._answers.put(key, Kept(etag, reply.content, self._clock(), value))
        return _fresh(value)

    def _value(self, call: Call[T], kept: Kept) -> T:
        value: T = self._parsed(call, kept.content) if kept.value is None else _fresh(kept.value)
        return value

    def _parsed(self, call: Call[T], content: bytes) -> T:
        try:
            return call.read(content)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RegistryUnreachable(
                f"Unexpected response from {self.url}: is it a model registry? {error}"
            ) from error


def _fresh(value: T) -> T:
    """A copy: a caller who sorts a list must not sort the kept one. Rows are immutable."""
    return copy.copy(value)


def _query(params: Any) -> str:  # noqa: ANN401 (any mapping of simple values)
    """Encode as the registry reads it: lists repeated, booleans in lower case, None left out."""
    plain = {name: _plain(value) for name, value in params.items() if value is not None}
    return urlencode(plain, doseq=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 (as above)
    if isinstance(value, bool):
        return str(value).lower()
    return [_plain(item) for item in value] if isinstance(value, list | tuple | set | frozenset) else value
