"""The agent on a GPU node: looks at its model servers, says what has changed at once, and everything regularly.

What it says goes out if NATS is there. Nothing is kept for later but what was said last: the rest follows from that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from model_registry.node_agent.gpus import NvidiaSmi
from model_registry.node_agent.messages import Listed, Message, model_message, status_message
from model_registry.node_agent.model_server import NoAnswer
from model_registry.node_agent.watch import Watch

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], Awaitable[bool]]
"""Publish to a subject; whether it went out."""

MOST_LISTED = 1000
"""Models in one status message: as many as the registry takes."""
_TICK = 0.001


class NodeAgent:
    """Speaks for one node. It must be the only one that does: a status message is about all models of its node."""

    def __init__(self, node_id: str, watches: Sequence[Watch], gpus: NvidiaSmi) -> None:
        self._node_id = node_id
        self._watches = watches
        self._gpus = gpus
        self._gpu_metrics: list[dict[str, Any]] = []
        self._said: dict[str, Listed] = {}
        self._complained: set[str] = set()
        self._last = 0.0
        self.wake = asyncio.Event()
        """Set it to have everything said at once, as after a time without NATS."""

    async def run(self, publish: Publish, *, poll: float, interval: float) -> None:
        """Look every `poll` seconds, and say everything every `interval` seconds. Ends when it is cancelled."""
        due = 0.0
        while True:
            began = time.monotonic()
            beat = began >= due or self.wake.is_set()
            self.wake.clear()
            try:
                if await self._turn(publish, beat=beat):
                    due = began + interval
            except Exception:  # it must outlive a bug: a node that falls silent is taken for lost
                log.exception("failed unexpectedly; looking again")
            try:
                async with asyncio.timeout(max(0.0, began + poll - time.monotonic())):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Let go of the connections to the servers."""
        for watch in self._watches:
            await watch.server.close()

    @property
    def troubles(self) -> list[str]:
        """Why servers did not answer when they were asked last."""
        return [watch.trouble for watch in self._watches if watch.trouble is not None]

    async def look(self, *, all_of_it: bool = True) -> None:
        """Ask all servers at once; of the GPUs and of what could be loaded, only if a status message wants it."""
        looks = [self._look_at(watch, all_of_it=all_of_it) for watch in self._watches]
        if all_of_it:
            self._gpu_metrics, *_ = await asyncio.gather(self._gpus.metrics(), *looks)
        else:
            await asyncio.gather(*looks)

    def differences(self) -> list[Message]:
        """What is not as it was last said."""
        return [message for _, _, message in self._differences()]

    def status(self) -> Message | None:
        """All that is loaded; None while a server is still waited for: silence would say that it has nothing loaded."""
        if not all(watch.conclusive for watch in self._watches):
            return None
        available = sorted({name for watch in self._watches for name in watch.available})[:MOST_LISTED]
        gpus = self._gpu_metrics
        data = {"metrics": gpus[0] if len(gpus) == 1 else gpus, "available_models": available}
        return status_message(
            self._node_id,
            self._models().values(),
            self._now(),
            endpoint=self._watches[0].endpoint if len(self._watches) == 1 else None,
            data={key: value for key, value in data.items() if value},
        )

    async def _turn(self, publish: Publish, *, beat: bool) -> bool:
        """Look, and say what there is to say; whether everything was said."""
        await self.look(all_of_it=beat)
        for listed, there, message in self._differences():
            if await _published(publish, message):
                self._note(listed, there=there)
        status = self.status() if beat else None
        return status is not None and await _published(publish, status)

    async def _look_at(self, watch: Watch, *, all_of_it: bool) -> None:
        try:
            watch.answered(await watch.server.loaded(), time.time())
            if all_of_it:
                watch.available = await watch.server.available()
        except NoAnswer as why:
            watch.missed(why)

    def _models(self) -> dict[str, Listed]:
        """What all servers have loaded. Where two offer the same, the first counts: the registry has one row for it."""
        found: dict[str, Listed] = {}
        for watch in self._watches:
            for key, listed in watch.models.items():
                if key in found and key not in self._complained:
                    self._complained.add(key)
                    log.warning(
                        "%s is offered by two servers of this node; only the one at %s is told of. "
                        "A node id of its own for each server's agent tells of both.",
                        key,
                        found[key].endpoint,
                    )
                found.setdefault(key, listed)
        if len(found) > MOST_LISTED and not self._complained:
            self._complained.add("")
            log.warning("%d models are loaded; the first %d are told of", len(found), MOST_LISTED)
        return dict(list(found.items())[:MOST_LISTED])

    def _differences(self) -> Iterator[tuple[Listed, bool, Message]]:
        models = self._models()
        for key, listed in list(self._said.items()):
            if key not in models:
                yield listed, False, model_message(self._node_id, listed, self._now(), there=False)
        for key, listed in models.items():
            if self._said.get(key) != listed:
                yield listed, True, model_message(self._node_id, listed, self._now(), there=True)

    def _note(self, listed: Listed, *, there: bool) -> None:
        """It has been said."""
        key = listed.model.key
        if there:
            self._said[key] = listed
            vram = "" if listed.model.vram_mb is None else f", {listed.model.vram_mb} MiB"
            log.info("%s is %s%s", key, listed.state, vram)
        else:
            del self._said[key]
            log.info("%s is unloaded", key)

    def _now(self) -> float:
        """Seconds since 1970; later each time, also when the clock is set back, or the registry would keep the old."""
        self._last = max(round(time.time(), 3), round(self._last + _TICK, 3))
        return self._last


async def _published(publish: Publish, message: Message) -> bool:
    subject, content = message
    return await publish(subject, json.dumps(content).encode())
