"""Simulates GPU nodes that load, fail, crash, recover, and repeat and delay messages; knows the fleet's final state.

Pure: randomness comes from a seed, and time is an argument. Publishing is in `fleet.py`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from model_registry.messaging.subjects import LOADED, STATUS, UNLOADED

PROVIDER = "vllm"
VRAM_MB = 81920

_TICK = 0.002
"""Minimum seconds between two messages of a node, by its clock: no two have the same time, so the newest decides."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Parameters of the fleet. Times are seconds, and means for random events; shares are between 0 and 1."""

    heartbeat: float = 5.0
    change: float = 10.0
    """Time between two changes on a node."""
    crash: float = 300.0
    """Time between two crashes of a node."""
    down: float = 12.0
    """How long a crashed node is down: sometimes too short to be marked as lost, sometimes longer."""
    skew: float = 55.0
    """Maximum error of a node's clock. A time more than a minute ahead would be ignored."""
    repeated: float = 0.05
    late: float = 0.1
    latest: float = 3.0
    """Maximum delay of a late message. A repeated one is up to three times as late."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a node reports about one model, and what the registry must store."""

    status: str = "unloaded"
    vram_mb: int | None = None
    endpoint: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """One message, and the time to publish it. A status message has no model."""

    at: float
    node: str
    model: str | None
    ts: float
    """The time of the message by the node's clock."""
    subject: str
    payload: dict[str, Any]


@dataclass(slots=True)
class _Node:
    name: str
    skew: float
    life: int = 0
    """Rises with every crash and recovery: actions planned before it are dropped."""
    up: bool = False
    models: dict[str, Model] = field(default_factory=dict)
    """The models on the node now."""
    said: dict[str, Model] = field(default_factory=dict)
    """The last report about each model ever mentioned."""
    clock: float = 0.0


class SimulatedFleet:
    """Nodes named node-0000, ...; each may have models named model-0, ... loaded."""

    def __init__(self, seed: int, nodes: int, models: int, *, start: float, habits: Habits | None = None) -> None:
        """Begin at a time, in seconds since 1970: within a second every node reports."""
        self._random = random.Random(seed)  # noqa: S311 (chance, no secret)
        self._habits = habits or Habits()
        self._names = [f"model-{i}" for i in range(models)]
        self._numbers = count()
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._due: list[tuple[float, int, Publication]] = []
        self._settled = False
        skew = self._habits.skew
        self._nodes = [_Node(f"node-{i:04}", self._random.uniform(-skew, skew)) for i in range(nodes)]
        for node in self._nodes:
            self._plan(node, start + self._random.random(), self._come)

    def until(self, now: float) -> Iterator[Publication]:
        """The messages due up to a time. The course of events does not depend on how often this is called."""
        while self._agenda and self._agenda[0][0] <= now:
            at, _, action = heapq.heappop(self._agenda)
            action(at)
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]

    def settle(self) -> None:
        """Stop all changes: nodes that are up keep reporting, nodes that are down stay down."""
        self._settled = True

    def expected(self) -> dict[tuple[str, str], Model]:
        """(node, model) -> the required state once everything is delivered and nodes that are down are lost."""
        return {
            (node.name, name): said if node.up else _lost(said)
            for node in self._nodes
            for name, said in node.said.items()
        }

    def expected_nodes(self) -> dict[str, str]:
        """Node -> ready or lost."""
        return {node.name: "ready" if node.up else "lost" for node in self._nodes}

    def _plan(self, node: _Node, at: float, action: Callable[[_Node, float], None]) -> None:
        """Schedule an action of the node, which is dropped if it crashes before."""
        life = node.life

        def act(now: float) -> None:
            if node.life == life:
                action(node, now)

        heapq.heappush(self._agenda, (at, next(self._numbers), act))

    def _after(self, node: _Node, now: float, mean: float, action: Callable[[_Node, float], None]) -> None:
        self._plan(node, now + self._random.expovariate(1 / mean), action)

    def _come(self, node: _Node, now: float) -> None:
        if self._settled and node.life:
            return
        node.life += 1
        node.up, node.models = True, {}
        self._beat(node, now)
        self._after(node, now, self._habits.change, self._change)
        self._after(node, now, self._habits.crash, self._crash)

    def _crash(self, node: _Node, now: float) -> None:
        if not self._settled:
            node.life += 1
            node.up = False
            self._after(node, now, self._habits.down, self._come)

    def _beat(self, node: _Node, now: float) -> None:
        """Report everything loaded; all other models ever mentioned are thereby unloaded."""
        node.said = dict.fromkeys(node.said, Model()) | node.models
        used = sum(model.vram_mb or 0 for model in node.models.values())
        listed = {f"{PROVIDER}/{name}": _listed(name, model) for name, model in node.models.items()}
        metrics = {"gpu_index": 0, "total_vram_mb": VRAM_MB, "used_vram_mb": used, "free_vram_mb": VRAM_MB - used}
        self._say(node, now, None, STATUS, {"type": STATUS, "data": {"loaded_models": listed, "metrics": metrics}})
        self._plan(node, now + self._habits.heartbeat, self._beat)

    def _change(self, node: _Node, now: float) -> None:
        """Load, fail or unload something."""
        if self._settled:
            return
        name = self._random.choice(self._names)
        before = node.models.get(name)
        if before is None:
            endpoint = f"http://{node.name}:8000/v1"
            status = self._random.choice(("loading", "loaded", "loaded", "error"))
            error = f"attempt {self._random.randrange(1000)} failed" if status == "error" else None
            model = Model(status, self._random.randrange(1, 10) * 1024, endpoint, error)
        elif before.status == "loading":
            model = Model("loaded", before.vram_mb, before.endpoint)
        else:
            model = Model()
        if model.status == "unloaded":
            del node.models[name]
        else:
            node.models[name] = model
        node.said[name] = model
        subject = UNLOADED if model.status == "unloaded" else LOADED
        self._say(node, now, name, subject, _event(name, model))
        self._after(node, now, self._habits.change, self._change)

    def _say(self, node: _Node, now: float, model: str | None, subject: str, content: dict[str, Any]) -> None:
        """Schedule its publication: now or late, once or twice."""
        node.clock = max(now + node.skew, node.clock + _TICK)
        payload = {"node_id": node.name, "ts": round(node.clock, 3), **content}
        chance = self._random.random
        late = chance() * self._habits.latest if chance() < self._habits.late else 0.0
        again = [chance() * self._habits.latest * 3] if chance() < self._habits.repeated else []
        for delay in (late, *again):
            publication = Publication(now + delay, node.name, model, payload["ts"], subject, payload)
            heapq.heappush(self._due, (publication.at, next(self._numbers), publication))


def _event(name: str, model: Model) -> dict[str, Any]:
    said = {"status": model.status, "vram_allocated_mb": model.vram_mb, **_rest(model)}
    return {"provider_type": PROVIDER, "model_id": name, **said}


def _listed(name: str, model: Model) -> dict[str, Any]:
    return {
        "provider": PROVIDER,
        "model_id": name,
        "state": model.status,
        "vram_mb": model.vram_mb,
        **_rest(model),
    }


def _rest(model: Model) -> dict[str, Any]:
    return {"endpoint": model.endpoint, "error_message": model.error_message}


def _lost(said: Model) -> Model:
    """The state of a model whose node is lost."""
    if said.status not in ("loading", "loaded"):
        return said
    return Model("lost", said.vram_mb, said.endpoint, said.error_message)
