"""The agent of a GPU node: polls its model servers, publishes changes at once, and the whole status regularly.

Messages are published only while NATS is connected. Only the last published state is kept: the rest follows from it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from model_registry.node_agent.gpus import NvidiaSmi
from model_registry.node_agent.messages import Message, model_message, status_message
from model_registry.node_agent.model_server import Listed, NoAnswer, Watch

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes], Awaitable[bool]]
"""Publishes to a subject; returns whether it was sent."""

MOST_LISTED = 1000
"""Models in one status message, at most; the registry's own limit."""
_TICK = 0.001
_REPEAT_SECONDS = 2.0
"""After a reconnect: JetStream may not yet store what arrives first, so the status is published once more."""


class NodeAgent:
    """Reports one node. Only one agent may: a status message lists all models of its node."""

    def __init__(self, node_id: str, watches: Sequence[Watch], gpus: NvidiaSmi) -> None:
        self._node_id = node_id
        self._watches = watches
        self._gpus = gpus
        self._gpu_metrics: list[dict[str, Any]] = []
        self._published_models: dict[str, Listed] = {}
        self._warned: set[str] = set()
        self._last = 0.0
        self.wake = asyncio.Event()
        """Set to publish a whole status at once, as after a reconnect."""

    async def run(self, publish: Publish, *, poll: float, interval: float) -> None:
        """Poll every `poll` seconds, and publish the whole status every `interval` seconds, until cancelled."""
        due = 0.0
        while True:
            began = time.monotonic()
            woken = self.wake.is_set()
            beat = began >= due or woken
            self.wake.clear()
            try:
                if await self._turn(publish, beat=beat):
                    due = began + (min(interval, _REPEAT_SECONDS) if woken else interval)
            except Exception:  # the loop must survive bugs: a node that falls silent is considered lost
                log.exception("failed unexpectedly; polling again")
            try:
                async with asyncio.timeout(max(0.0, began + poll - time.monotonic())):
                    await self.wake.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Close the connections to the servers."""
        for watch in self._watches:
            await watch.server.close()

    @property
    def troubles(self) -> list[str]:
        """Why servers did not answer the last request."""
        return [watch.trouble for watch in self._watches if watch.trouble is not None]

    async def look(self, *, all_of_it: bool = True) -> None:
        """Ask all servers concurrently. With `all_of_it`, for a status message, also GPUs and available models."""
        looks = [self._look_at(watch, all_of_it=all_of_it) for watch in self._watches]
        if all_of_it:
            self._gpu_metrics, *_ = await asyncio.gather(self._gpus.metrics(), *looks)
        else:
            await asyncio.gather(*looks)

    def differences(self) -> list[Message]:
        """Return messages for the models that differ from the last published state."""
        return [message for _, _, message in self._differences()]

    def status(self) -> Message | None:
        """Return the status message; None until every server is known: listing none of its models means none loaded."""
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
        """Poll and publish; return whether a whole status was published."""
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
        """Return the loaded models of all servers. The first server with a model counts: the registry keeps one row."""
        models: dict[str, Listed] = {}
        for watch in self._watches:
            for key, listed in watch.models.items():
                if key in models and key not in self._warned:
                    self._warned.add(key)
                    log.warning(
                        "%s is offered by two servers of this node; only the one at %s is reported. "
                        "To report both, run an agent with its own node id for each server.",
                        key,
                        models[key].endpoint,
                    )
                models.setdefault(key, listed)
        if len(models) > MOST_LISTED and not self._warned:
            self._warned.add("")
            log.warning("%d models are loaded; the first %d are reported", len(models), MOST_LISTED)
        return dict(list(models.items())[:MOST_LISTED])

    def _differences(self) -> Iterator[tuple[Listed, bool, Message]]:
        models = self._models()
        for key, listed in list(self._published_models.items()):
            if key not in models:
                yield listed, False, model_message(self._node_id, listed, self._now(), there=False)
        for key, listed in models.items():
            if self._published_models.get(key) != listed:
                yield listed, True, model_message(self._node_id, listed, self._now(), there=True)

    def _note(self, listed: Listed, *, there: bool) -> None:
        """Note a published change."""
        key = listed.model.key
        if there:
            self._published_models[key] = listed
            vram = "" if listed.model.vram_mb is None else f", {listed.model.vram_mb} MiB"
            log.info("%s is %s%s", key, listed.state, vram)
        else:
            del self._published_models[key]
            log.info("%s is unloaded", key)

    def _now(self) -> float:
        """Return epoch seconds, increasing even when the clock is set back: the registry ignores older events."""
        self._last = max(round(time.time(), 3), round(self._last + _TICK, 3))
        return self._last


async def _published(publish: Publish, message: Message) -> bool:
    subject, content = message
    return await publish(subject, json.dumps(content).encode())
