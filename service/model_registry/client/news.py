"""How the agent learns that something may have changed: by asking and waiting, or from NATS."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

log = logging.getLogger(__name__)

SUBJECT = "model.registry.updated.v1"
_RECONNECT_SECONDS: Any = 1.0  # declared as int, and only ever slept and compared with


class NatsNews:
    """Listens in a thread of its own, for ever; connects again by itself. Without NATS nothing is lost but time."""

    def __init__(self, url: str) -> None:
        import nats  # noqa: PLC0415, F401 (not in the base install: who names a server has it)

        self._url = url
        self._heard = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True, name="nats").start()

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement; whether there was one."""
        heard = self._heard.wait(seconds)
        self._heard.clear()
        return heard

    async def _listen(self) -> None:
        import nats.errors  # noqa: PLC0415 (as above)

        async def hear(*_: object) -> None:
            self._heard.set()

        async def trouble(error: Exception) -> None:
            log.debug("nats: %s", error)

        while True:
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
                self._heard.set()  # what was said before we listened
                break
            except (TimeoutError, OSError, nats.errors.Error) as error:
                log.warning("nats does not answer; trying on: %s", error)
                await asyncio.sleep(_RECONNECT_SECONDS)
        await asyncio.Event().wait()  # the client goes on by itself
