"""The asynchronous client: its operations are in `operations.py`, retries and fallbacks in `core.py`. Does the I/O."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from model_registry.client.catalogue import Catalogue
from model_registry.client.core import Flow, Pause, Send, Step, Tell
from model_registry.client.job_operations import JobFollower
from model_registry.client.operations import BaseClient
from model_registry.client.requests import Call, Json
from model_registry.client.retries import Reply
from model_registry.loopback import is_loopback
from model_registry.messaging.change_notifier import ChangeNotifier
from model_registry.messaging.login import NatsLogin

log = logging.getLogger(__name__)

T = TypeVar("T")


class AsyncClient(BaseClient[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """A registry, from asynchronous code: every operation is awaited. Made as `Client` is."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, call: Call[T]) -> T:
        """Ask what has no method of its own. Errors: RegistryUnreachable, or what the registry answers."""
        return await self.carry_out(self.core.ask(call))

    async def catalogue(self) -> Catalogue:
        """Get the whole catalogue at one revision; with the registry away the last copy of it, which knows its age."""
        return await self.carry_out(self.core.catalogue())

    async def carry_out(self, flow: Flow[T]) -> T:
        """Do what a flow says, and return its result."""
        return await _run_flow(flow, self._step)

    async def follow_job(self, job_id: str) -> AsyncIterator[Json]:
        """As `Client.follow_job`: `async for job in client.follow_job(job_id)`."""
        follower = JobFollower(self.core, job_id, self._patience)
        while True:
            problem: httpx.HTTPError | httpx.Response | None = None
            try:
                async with aclosing(await self._http.send(follower.request(), stream=True)) as response:
                    if response.is_success:
                        async for piece in response.aiter_bytes():
                            for job in follower.jobs(piece):
                                yield job
                    else:
                        await response.aread()
                        problem = response
            except httpx.HTTPError as error:
                problem = error
            if follower.ended:
                return
            await asyncio.sleep(follower.pause(problem))

    def on_change(
        self,
        callback: Callable[[Catalogue], Awaitable[object] | object],
        *,
        wait: float = 30.0,
        nats_url: str | None = None,
    ) -> asyncio.Task[None]:
        """As `Client.on_change`, in a task: cancel it to stop. The callback may be asynchronous."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        async def step(step: Step) -> Reply:
            if isinstance(step, Tell):
                await _notify(callback, step.catalogue)
            if isinstance(step, Pause) and step.news:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), step.seconds)
                changed.clear()
                return None
            return await self._step(step)

        async def listen() -> None:
            news = ChangeNotifier(NatsLogin(nats_url), lambda: _set(loop, changed)) if nats_url else None
            try:
                await _run_flow(self.new_core().follow(wait, news=news is not None), step)
            finally:
                if news is not None:
                    news.close()

        return asyncio.create_task(listen(), name="model-registry")

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=not is_loopback(self.url), transport=self._transport)

    async def _step(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        if not isinstance(step, Send):
            return None
        try:
            return await self._http.send(step.request)
        except httpx.HTTPError as error:
            return error


async def _run_flow(flow: Flow[T], do: Callable[[Step], Awaitable[Reply]]) -> T:
    try:
        step = next(flow)
        while True:
            step = flow.send(await do(step))
    except StopIteration as ended:
        result: T = ended.value
        return result


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the program has ended
        loop.call_soon_threadsafe(event.set)


async def _notify(callback: Callable[[Catalogue], Any], catalogue: Catalogue) -> None:
    try:
        answer = callback(catalogue)
        if inspect.isawaitable(answer):
            await answer
    except Exception:  # a listener must not keep the copy from being current
        log.exception("a listener failed")
