"""How the agent and clients learn from NATS that something may have changed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

SUBJECT = "model.registry.updated.v1"
_RECONNECT_SECONDS: Any = 1.0  # declared as int, and only ever slept and compared with


class NatsNews:
    """Listens in a thread of its own until it is closed; connects again by itself. Without NATS only time is lost.

    Args:
        url: the server's.
        listener: called, in that thread, whenever there is news.
    """

    def __init__(self, url: str, listener: Callable[[], object] = lambda: None) -> None:
        import nats  # noqa: PLC0415, F401 (not in the base install: who names a server has it)

        self._url = url
        self._listener = listener
        self._heard = threading.Event()
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True, name="nats").start()

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement; whether there was one."""
        heard = self._heard.wait(seconds)
        self._heard.clear()
        return heard

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        self._heard.set()
        if self._loop is not None and self._end is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._end.set)

    def _news(self) -> None:
        self._heard.set()
        self._listener()

    async def _listen(self) -> None:
        import nats.errors  # noqa: PLC0415 (as above)

        self._end, self._loop = asyncio.Event(), asyncio.get_running_loop()

        async def hear(*_: object) -> None:
            self._news()

        async def trouble(error: Exception) -> None:
            log.debug("nats: %s", error)

        while not self._closed.is_set():
            try:
                client = await nats.connect(
                    self._url,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_RECONNECT_SECONDS,
                    reconnected_cb=hear,
                    error_cb=trouble,
                    name="model-registry sync",
                )
                await client.subscribe(SUBJECT, cb=hear)
                await client.flush()
                self._news()  # what was said before we listened
                await self._end.wait()  # the client goes on by itself
                await client.close()
                break
            except (TimeoutError, OSError, nats.errors.Error) as error:
                log.warning("nats does not answer; trying on: %s", error)
                await asyncio.sleep(_RECONNECT_SECONDS)
