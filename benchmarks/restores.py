"""Restores backups repeatedly while three replicas write; after each restore every replica must equal the database.

    python benchmarks/restores.py --restores 1000
    python benchmarks/restores.py --restores 50 --physical

Replicas are `Registry` objects on the real PostgREST and Postgres. They stop at random moments, restart from an old or
new snapshot file, and write all the time, during backups, restores and writes of the others. The seed determines the
actions, not the order in which they reach the database.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from backups import Backups, Dumps, Images
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.entities.change import Operation
from model_registry.entities.deployment import DeploymentEvent
from model_registry.errors import RegistryError, StorageError
from model_registry.settings import Settings
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table_specs import SPECS
from model_registry.store import migrations
from model_registry.store.client import Database, connect
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile

SCHEMA = "model_registry"
NAMES = tuple(f"p{number}" for number in range(8))
KEPT = 4
"""Number of backups kept: the older a backup, the more revisions are reused after it is restored."""
_SHOWN = 20
_TELL_EVERY = 100
_HEARTBEATS = frozenset({"event_at", "last_used_at", "last_seen_at", "loaded_at", "vram_used_mb", "vram_free_mb"})
T = TypeVar("T")

_PATIENCE_SECONDS = 60


class Member:
    """One replica, which may be down; its snapshot file remains."""

    def __init__(self, name: str, database: Database, directory: Path, chance: random.Random) -> None:
        self.name = name
        self._database = database
        self._file = SnapshotFile(directory, "restores")
        self._chance = chance
        self._registry: Registry | None = None

    @property
    def registry(self) -> Registry | None:
        """The running replica; None while it is down."""
        return self._registry

    def start(self) -> Registry:
        """Start from the last saved snapshot, whether or not it is still valid."""
        if self._registry is None:
            self._registry = Registry(self._database, origin=self.name)
            saved = self._file.load()
            if saved is not None:
                self._registry.restore(saved)
        return self._registry

    def save(self) -> None:
        """Save the snapshot to disk, as the snapshot saver does every few seconds."""
        if self._registry is not None and self._registry.loaded:
            self._file.save(self._registry.saved())

    def kill(self) -> None:
        """Stop; the saved snapshot may be older."""
        self._registry = None

    async def work(self, steps: int) -> None:
        """Write, record events and read. Failures because of a conflict or an unavailable database are accepted."""
        for _ in range(steps):
            registry = self._registry
            if registry is None:
                return
            with contextlib.suppress(RegistryError):
                await self._step(registry)
            if self._chance.random() < 0.1:  # noqa: PLR2004
                self.save()

    async def _step(self, registry: Registry) -> None:
        kind = self._chance.choices(("write", "event", "look"), (6, 2, 2))[0]
        if kind == "look" or not registry.loaded:
            await registry.refresh()
        elif kind == "event":
            await registry.record([self._event()], actor=self.name)
        else:
            await registry.write(self._operations(registry.snapshot), actor=self.name)

    def _operations(self, snapshot: Snapshot) -> list[Operation]:
        name = self._chance.choice(NAMES)
        rows = snapshot.providers.where("name", name)
        value = {"metadata": {"drawn": self._chance.getrandbits(48)}}
        if not rows:
            row = {"name": name, "type": "ollama", **value}
            return [Operation("model_providers", "insert", str(uuid.uuid4()), row)]
        row_id, models = rows[0].id, snapshot.models.where("provider", rows[0].id)
        if self._chance.random() < 0.3:  # noqa: PLR2004
            deletions = [Operation("models", "delete", model.id) for model in models]
            return [*deletions, Operation("model_providers", "delete", row_id)]
        version = rows[0].version if self._chance.random() < 0.5 else None  # noqa: PLR2004
        change = Operation("model_providers", "update", row_id, value, version)
        if models:
            return [change, Operation("models", "update", models[0].id, value)]
        model = {"provider_id": row_id, "name": f"m of {name}", "model_id": name, **value}
        return [change, Operation("models", "insert", str(uuid.uuid4()), model)]

    def _event(self) -> DeploymentEvent:
        return DeploymentEvent(
            node_id=f"node {self._chance.randrange(3)}",
            provider_type="ollama",
            announced_model=self._chance.choice(NAMES),
            status=self._chance.choice(("loaded", "unloaded")),
            event_at=datetime.now(UTC),
            vram_allocated_mb=self._chance.randrange(1000),
        )


class Restores:
    """One run."""

    def __init__(self, members: list[Member], database: Database, backups: Backups, chance: random.Random) -> None:
        self._members = members
        self._database = database
        self._backups = backups
        self._chance = chance
        self._kept: list[int] = []
        self._taken = 0
        self.passed = 0
        """Replicas that restarted with a revision that the restored registry had already passed."""

    async def run(self, restores: int) -> list[str]:
        """Return the differences; ends at the first restore after which there are any."""
        began = time.monotonic()
        await self._take()
        for number in range(1, restores + 1):
            wrong = await self._once()
            if wrong:
                return [f"after restore {number}: {one}" for one in wrong]
            if number % _TELL_EVERY == 0:
                print(f"{number} restores in {time.monotonic() - began:.0f} s", flush=True)
        return []

    async def _once(self) -> list[str]:
        chance = self._chance
        for member in self._members:
            member.start()
        await self._together(4, self._take if chance.random() < 0.5 else None)  # noqa: PLR2004
        for member in self._members:
            if chance.random() < 0.5:  # noqa: PLR2004
                member.save()
            if chance.random() < 0.4:  # noqa: PLR2004
                member.kill()
        await self._together(chance.randrange(3), self._restore)
        if all(member.registry is None for member in self._members):
            self._members[0].start()
        await self._together(chance.randrange(1, 12), None)
        newest = await self._load()
        down = [member.start() for member in self._members if member.registry is None]
        self.passed += sum(one.loaded and 0 < one.snapshot.revision <= newest.revision for one in down)
        await self._together(chance.randrange(3), None)
        return await self._compared()

    async def _together(self, steps: int, meanwhile: Callable[[], Any] | None) -> None:
        """Let all replicas work, and perform an action meanwhile."""

        async def later() -> None:
            await asyncio.sleep(self._chance.random() * 0.01)  # a random moment, not a wait for something
            if meanwhile is not None:
                await meanwhile()

        await asyncio.gather(*(member.work(steps) for member in self._members), later())

    async def _take(self) -> None:
        self._taken += 1
        await asyncio.to_thread(self._backups.take, self._taken)
        self._kept.append(self._taken)
        if len(self._kept) > KEPT:
            await asyncio.to_thread(self._backups.forget, self._kept.pop(0))

    async def _restore(self) -> None:
        number = self._chance.choice(self._kept)
        await asyncio.to_thread(self._backups.restore, number)

    async def _load(self) -> Snapshot:
        return Snapshot.from_document(await _patient(lambda: self._database.call("registry_snapshot")))

    async def _compared(self) -> list[str]:
        for member in self._members:
            await _patient(member.start().refresh)
        truth = await self._load()
        wrong: list[str] = []
        for member in self._members:
            wrong += [f"{member.name}: {one}" for one in differences(truth, member.start().snapshot)]
        return wrong


async def _patient(ask: Callable[[], Awaitable[T]]) -> T:
    """Poll until the database is available: PostgREST reconnects after Postgres's data was replaced."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await ask()
        except StorageError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def differences(truth: Snapshot, found: Snapshot) -> list[str]:
    """Compare row by row, except columns whose updates are not changes."""
    wrong = [] if truth.revision == found.revision else [f"revision {found.revision}, not {truth.revision}"]
    for table in SPECS:
        expected, have = (
            {row.id: row.model_dump(exclude=_HEARTBEATS) for row in s.tables[table]} for s in (truth, found)
        )
        wrong += [
            f"{table} {row_id}: {have.get(row_id)}, not {expected.get(row_id)}"
            for row_id in expected.keys() | have.keys()
            if expected.get(row_id) != have.get(row_id)
        ]
    return wrong


@asynccontextmanager
async def _members(
    settings: Settings, number: int, scratch: Path, chance: random.Random
) -> AsyncIterator[list[Member]]:
    async with AsyncExitStack() as exits:
        members = []
        for place in range(number):
            database = await connect(settings)
            exits.push_async_callback(database.close)
            own = random.Random(chance.getrandbits(64))  # noqa: S311 (chance)
            members.append(Member(f"replica {place}", database, scratch / f"cache-{place}", own))
        yield members


async def wrong_after_restores(
    options: argparse.Namespace, settings: Settings, backups: Backups, scratch: Path
) -> list[str]:
    """Run on an empty registry. Returns the differences at the end."""
    chance = random.Random(options.seed)  # noqa: S311 (chance)
    database = await connect(settings)
    try:
        async with _members(settings, options.replicas, scratch, chance) as members:
            run = Restores(members, database, backups, chance)
            wrong = await run.run(options.restores)
    finally:
        await database.close()
    print(
        f"seed {options.seed}: {options.restores} restores, {options.replicas} replicas; "
        f"{run.passed} came back with a revision that was passed meanwhile; {len(wrong)} things wrong",
        flush=True,
    )
    return wrong


def options_from(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments, by default those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restores", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--physical", action="store_true", help="exchange Postgres's data directory; a second each")
    return parser.parse_args(arguments)


def main() -> int:
    """Start everything, run, and print the result."""
    options = options_from()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with (
        tempfile.TemporaryDirectory(prefix="restores-") as directory,
        EmbeddedStack(
            Path(directory) / "data", prepare=lambda url: migrations.migrate(url, SCHEMA), durable=False
        ) as stack,
    ):
        environment = stack.environment()
        postgrest: dict[str, Any] = {key: value for key, value in environment.items() if key.startswith("POSTGREST")}
        settings = Settings(**postgrest)
        dumps = None if options.physical else Dumps(environment["DATABASE_URL"], SCHEMA)
        backups = dumps or Images(stack, Path(directory))
        try:
            wrong = asyncio.run(wrong_after_restores(options, settings, backups, Path(directory)))
        finally:
            if dumps is not None:
                dumps.close()
    for one in wrong[:_SHOWN]:
        print(one)
    print(f"WRONG: {len(wrong)} things" if wrong else "RIGHT: every replica was as the database after every restore")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
