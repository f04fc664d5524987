"""The agent beside a gateway: a made-up registry and gateway, a real directory, and a clock that waits for nobody."""

from __future__ import annotations

import gzip
import hashlib
import io
import resource
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry.errors import NotAuthenticated, RegistryUnreachable
from model_registry.gateway_agent.agent import Agent, AgentTimeouts
from model_registry.gateway_agent.bundle_directory import KEPT, BundleDirectory
from model_registry.gateway_agent.bundle_source import BundleSource
from model_registry.gateway_agent.gateway_process import LocalGateway, NotTold
from model_registry.messaging.change_notifier import ChangeNotifier

PATIENCE = AgentTimeouts(wait=30, settle=3, health=10)


class Registry:
    """Serves one configuration, as a registry would."""

    def __init__(self) -> None:
        self.body: bytes | None = b"# one\n"
        self.asked: list[httpx.Request] = []
        self.damage = False
        self.archive = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.body is None:
            raise httpx.ConnectError("nobody here")
        if request.url.path.endswith("/bundle") != self.archive:
            return httpx.Response(404)
        etag = f'"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'
        if etag in request.headers.get("if-none-match", ""):
            return httpx.Response(304, headers={"ETag": etag})
        body = self.body[:-1] if self.damage else self.body
        return httpx.Response(200, content=body, headers={"ETag": etag, "X-Registry-Revision": "7"})


class Gateway(LocalGateway):
    """Well while the current bundle has nothing bad in it, and the test does not say otherwise."""

    told: list[str]
    unwilling: bool

    def tell(self, bundle: Path) -> None:
        self.told.append(text(bundle))
        if self.unwilling and "bad" in text(bundle):
            raise NotTold("it said no")

    def is_well(self) -> bool:
        return not self.told or "bad" not in self.told[-1]


def a_gateway(*, unwilling: bool = False) -> Gateway:
    gateway = Gateway(health="http://gateway/status")
    object.__setattr__(gateway, "told", [])
    object.__setattr__(gateway, "unwilling", unwilling)
    return gateway


class World:
    """One agent, and all that is around it."""

    def __init__(self, out: Path, *, unwilling: bool = False) -> None:
        self.out, self.registry, self.gateway = out, Registry(), a_gateway(unwilling=unwilling)
        self.news: ChangeNotifier | None = None
        self.now = 0.0
        self.agent = self.restarted()

    def restarted(self) -> Agent:
        source = BundleSource("http://registry", transport=httpx.MockTransport(self.registry))
        self.agent = Agent(
            source,
            BundleDirectory(self.out),
            self.gateway,
            patience=PATIENCE,
            news=self.news,
            clock=lambda: self.now,
            sleep=self._sleep,
        )
        return self.agent

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, seconds: float) -> None:
        """Let the agent do what it does in this time."""
        end = self.now + seconds
        while self.now < end:
            asked_at = self.now
            self.agent.step()
            if self.now == asked_at:
                self.now += PATIENCE.wait  # it asked, and the registry had nothing for that long

    @property
    def current(self) -> str:
        return text(self.out / "current")


def text(bundle: Path) -> str:
    return (bundle / "tensorzero.toml").read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "out")


def test_what_the_registry_serves_becomes_current_and_is_announced_once(world: World) -> None:
    world.run(60)

    assert world.current == "# one\n"
    assert world.gateway.told == ["# one\n"]
    assert not list(world.out.rglob(".new-*"))


def test_a_change_is_taken_over_and_the_last_three_are_kept(world: World) -> None:
    for number in range(6):
        world.registry.body = f"# {number}\n".encode()
        world.run(40)

    kept = {text(bundle) for bundle in (world.out / "bundles").iterdir()}
    assert world.current == "# 5\n"
    assert kept == {"# 3\n", "# 4\n", "# 5\n"}
    assert len(kept) == KEPT


def test_it_waits_for_a_change_and_says_what_it_has(world: World) -> None:
    world.run(60)
    last = world.registry.asked[-1]

    assert last.url.params["wait"] == "30"
    assert last.headers["if-none-match"] == f'"{(world.out / "current").readlink().name}"'


@pytest.mark.parametrize("unwilling", [False, True], ids=["is not well", "refuses"])
def test_a_gateway_that_does_not_come_up_gets_the_previous_bundle_back(tmp_path: Path, *, unwilling: bool) -> None:
    world = World(tmp_path / "out", unwilling=unwilling)
    world.run(40)
    world.registry.body = b"# bad\n"
    world.run(60)

    assert world.current == "# one\n"
    assert world.gateway.told == ["# one\n", "# bad\n", "# one\n"]


def test_a_bundle_that_failed_is_not_tried_again_not_even_after_a_restart(world: World) -> None:
    world.run(40)
    world.registry.body = b"# bad\n"
    world.run(60)
    world.restarted()
    world.run(100)

    assert world.gateway.told.count("# bad\n") == 1
    world.registry.body = b"# good\n"
    world.run(40)
    assert world.current == "# good\n"


def test_a_newer_bundle_does_not_wait_for_the_end_of_a_trial(world: World) -> None:
    world.run(40)
    world.registry.body = b"# bad\n"
    world.run(1)
    assert world.current == "# bad\n"
    world.registry.body = b"# repaired\n"
    world.run(1)

    assert world.current == "# repaired\n"
    world.run(60)
    assert world.gateway.told == ["# one\n", "# bad\n", "# repaired\n"]


def test_an_agent_that_is_killed_in_a_trial_ends_it_when_it_is_back(world: World) -> None:
    world.run(40)
    world.registry.body = b"# bad\n"
    world.run(1)
    assert world.current == "# bad\n"

    world.restarted().once()

    assert world.current == "# one\n"


def test_with_the_registry_away_the_last_bundle_stays_also_through_a_restart(world: World) -> None:
    world.run(40)
    world.registry.body = None
    world.run(40)
    world.restarted().once()
    world.run(40)

    assert world.current == "# one\n"
    world.registry.body = b"# two\n"
    world.run(40)
    assert world.current == "# two\n"


def test_a_registry_that_is_away_is_not_asked_without_a_pause(world: World) -> None:
    world.registry.body = None
    world.run(100)

    assert len(world.registry.asked) < 20


def test_once_fails_when_nothing_came_and_nothing_is_there(world: World) -> None:
    world.registry.body = None

    with pytest.raises(RegistryUnreachable, match="nobody here"):
        world.agent.once()


def test_once_fails_when_the_gateway_does_not_come_up_with_the_only_bundle(world: World) -> None:
    world.registry.body = b"# bad\n"

    with pytest.raises(RegistryUnreachable, match="came up with"):
        world.agent.once()


def test_a_damaged_download_is_not_taken(world: World) -> None:
    world.run(40)
    world.registry.body, world.registry.damage = b"# two\n", True
    world.run(40)
    assert world.current == "# one\n"

    world.registry.damage = False
    world.run(40)
    assert world.current == "# two\n"


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk that is full at this point, as far as this process is concerned."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_the_last_bundle_stays_and_the_next_try_succeeds(world: World) -> None:
    world.run(40)
    world.registry.body = b"# two\n" + b"#" * 2_000_000
    with no_file_larger_than(1_000_000):
        world.run(40)

    assert world.current == "# one\n"
    assert len(list((world.out / "bundles").iterdir())) == 1
    world.run(40)
    assert world.current.startswith("# two\n")


def test_what_an_earlier_agent_left_half_written_is_swept_away(world: World) -> None:
    half = world.out / "bundles" / ".new-abc"
    half.mkdir()
    (half / "tensorzero.toml").write_text("# ha")
    world.restarted()
    world.run(40)

    assert not half.exists()
    assert world.current == "# one\n"


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def test_a_bundle_comes_with_its_files(world: World) -> None:
    world.registry.archive = True
    world.registry.body = archive({"tensorzero.toml": b"# whole\n", "functions/f/system.txt": b"hello"})
    world.run(40)

    assert world.current == "# whole\n"
    assert (world.out / "current/functions/f/system.txt").read_bytes() == b"hello"


@pytest.mark.parametrize(
    "body",
    [
        archive({"tensorzero.toml": b"", "../../evil": b"x"}),
        archive({"tensorzero.toml": b"", "/tmp/evil": b"x"}),  # noqa: S108 (never written)
        archive({"other.toml": b""}),
        archive({"tensorzero.toml": b"x" * 100})[:-20],
        gzip.compress(b"no archive"),
        b"no archive at all",
    ],
    ids=["leaves", "absolute", "without configuration", "cut", "no tar", "no gzip"],
)
def test_a_bundle_that_is_not_as_it_should_be_is_not_taken(world: World, body: bytes) -> None:
    world.registry.archive, world.registry.body = True, body

    with pytest.raises(RegistryUnreachable):
        world.agent.once()
    assert not (world.out / "current").exists()


def test_a_registry_that_wants_a_key_is_told_apart() -> None:
    source = BundleSource("http://registry", transport=httpx.MockTransport(lambda _: httpx.Response(401)))

    with pytest.raises(NotAuthenticated):
        source.fetch()


@dataclass
class Change:
    """When it is made, announced and validated, and how long the registry is unavailable then."""

    announced: float = 100.0
    verdict: float = 100.0
    made: float = 100.0
    refused: bool = False
    away: float = 0.0

    def body(self, now: float) -> bytes:
        return b"# one\n" if now < self.verdict or self.refused else b"# two\n"

    def headers(self, now: float) -> dict[str, str]:
        if now < self.made:
            return {"X-Registry-Revision": "7"}
        if now < self.verdict:
            return {"X-Registry-Revision": "7", "X-Registry-Pending-Revision": "8"}
        return (
            {"X-Registry-Revision": "7", "X-Registry-Refused-Revision": "8"}
            if self.refused
            else {"X-Registry-Revision": "8"}
        )


class JudgingRegistry(Registry):
    """Validates the change after the given time; requests with `wait` wait for it."""

    def __init__(self, world: World, change: Change) -> None:
        super().__init__()
        self.world, self.change = world, change

    def __call__(self, request: httpx.Request) -> httpx.Response:
        world, change = self.world, self.change
        self.body = None if 0 <= world.now - change.made < change.away else change.body(world.now)
        answer = super().__call__(request)
        wait = float(request.url.params.get("wait", "0"))
        if answer.status_code == httpx.codes.NOT_MODIFIED and wait:
            until = world.now + wait
            world.now = change.verdict if world.now < change.verdict <= until and not change.refused else until
            self.body = change.body(world.now)
            answer = super().__call__(request)
        answer.headers.update(change.headers(world.now))
        return answer


class News(ChangeNotifier):
    """Says when the change is announced, and nothing else."""

    def __init__(self, world: World, change: Change, *, begins: float = 0.0, revision: int = 8) -> None:
        self._world, self._change, self._begins, self._revision = world, change, begins, revision
        self._told: set[float] = set()

    @property
    def hears(self) -> bool:
        return self._world.now >= self._begins

    @property
    def revision(self) -> int:  # type: ignore[override] # as an attribute of the real one
        return self._revision if self._begins < self._change.announced <= self._world.now else 0

    def wait(self, seconds: float) -> bool:
        happens = [self._begins] + [self._change.announced] * (self._change.announced > self._begins)
        untold = [at for at in happens if at not in self._told and at <= self._world.now + seconds]
        self._told.update(at for at in untold if at <= max(self._world.now, min(untold)))
        self._world.now = max(self._world.now, min(untold, default=self._world.now + seconds))
        return bool(untold)


def a_world_with_news(out: Path, change: Change, **news: Any) -> World:
    world = World(out)
    world.registry = JudgingRegistry(world, change)
    world.news = News(world, change, **news)
    world.restarted()
    return world


def taken(world: World, limit: float = 1000) -> float:
    """When the agent takes the change."""
    while world.now < limit and (world.now < 1 or world.current != "# two\n"):
        world.agent.step()
    return world.now


@pytest.mark.parametrize("revision", [8, 0], ids=["of this registry", "without a revision"])
@pytest.mark.parametrize("verdict", [0.1, 4.9, 5.1, 10, 50])
def test_an_announced_change_is_taken_when_its_verdict_is_there_however_long_that_takes(
    tmp_path: Path, verdict: float, revision: int
) -> None:
    world = a_world_with_news(tmp_path, Change(verdict=100 + verdict), revision=revision)

    assert taken(world) < 100 + verdict + 1
    assert len(world.registry.asked) < 45  # a dozen of them during the rollout


def test_a_change_made_before_announcements_are_heard_is_taken_when_its_verdict_is_there(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(verdict=110), begins=103)

    assert taken(world) < 111


def test_without_nats_an_agent_that_was_told_of_it_asks_on(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(), begins=10_000)

    assert taken(world) < 101


def test_a_change_announced_while_the_registry_is_away_is_not_forgotten(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(away=20), revision=0)

    assert taken(world) < 127


def test_a_registry_that_hears_of_the_change_after_us_is_asked_until_it_has_a_verdict(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(made=112, verdict=115))

    assert taken(world) < 116


def test_after_a_refusal_it_waits_for_the_next_announcement(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(verdict=110, refused=True))
    taken(world, limit=130)
    before = len(world.registry.asked)
    taken(world, limit=400)

    assert len(world.registry.asked) - before < 25
    assert world.current == "# one\n"


def test_an_announcement_that_is_lost_costs_one_wait(tmp_path: Path) -> None:
    world = a_world_with_news(tmp_path, Change(announced=10_000, verdict=101))

    assert taken(world) <= 101 + PATIENCE.wait
