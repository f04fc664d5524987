"""How the agent learns that something may have changed, without asking: from NATS."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

log = logging.getLogger(__name__)

SUBJECT = "model.registry.updated.v1"
_RECONNECT_SECONDS: Any = 1.0  # declared as int, and only ever slept and compared with
_PING_SECONDS = 10
"""Between two looks whether the server is there: as long as it is not, nothing is heard."""


class NatsNews:
    """Listens in a thread of its own, for ever; connects again by itself. Without NATS nothing is lost but time."""

    hears = False
    """Whether announcements arrive now. What was announced before they did is worth a question."""
    revision = 0
    """The newest revision that was announced."""

    def __init__(self, url: str) -> None:
        import nats  # noqa: PLC0415, F401 (not in the base install: who names a server has it)

        self._url = url
        self._news = threading.Event()
        self._said = ""
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True, name="nats").start()

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement, or for announcements to begin or end to arrive; whether there was one."""
        told = self._news.wait(seconds)
        self._news.clear()
        return told

    async def _listen(self) -> None:
        """One client after the other: it reconnects by itself, but gives up when the server sends it away."""
        import nats.errors  # noqa: PLC0415 (as above)

        while True:
            try:
                await self._hear_until_sent_away()
                self._say("it has sent us away")
            except (TimeoutError, OSError, nats.errors.Error) as error:
                self._say(repr(error))
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _hear_until_sent_away(self) -> None:
        import nats  # noqa: PLC0415 (as above)

        gone = asyncio.Event()

        async def begins() -> None:
            self._hears(now=True)

        async def ends() -> None:
            self._hears(now=False)

        async def is_gone() -> None:
            gone.set()

        async def trouble(error: Exception) -> None:
            self._say(repr(error))

        client = await nats.connect(
            self._url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,
            ping_interval=_PING_SECONDS,
            reconnected_cb=begins,
            disconnected_cb=ends,
            closed_cb=is_gone,
            error_cb=trouble,
            name="model-registry sync",
        )
        try:
            await client.subscribe(SUBJECT, cb=self._hear)
            await client.flush()
            await begins()
            await gone.wait()
        finally:
            await client.close()

    async def _hear(self, message: Any) -> None:  # noqa: ANN401 (nats-py is not in the base install)
        self.revision = max(self.revision, _revision(message.data))
        self._news.set()

    def _hears(self, *, now: bool) -> None:
        self.hears = now
        self._news.set()
        if now:
            self._said = ""
            log.info("hearing of changes from nats")

    def _say(self, trouble: str) -> None:
        """Once, until all is well again: it comes every second."""
        if trouble != self._said:
            self._said = trouble
            log.warning("nats does not answer; asking the registry meanwhile: %s", trouble)


def _revision(payload: bytes) -> int:
    """The revision that a message speaks of; 0 when it is from someone else, and only a reason to ask."""
    try:
        content = json.loads(payload)
    except ValueError:
        return 0
    revision = content.get("revision") if isinstance(content, dict) else None
    return revision if isinstance(revision, int) else 0
