"""Killed components of `model-registry up` are restarted without loss, or everything stops with the reason."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import psutil
import pytest

from support.processes import Starter, Up, alive, at_work_in, starting, wait_until

PROGRAMS = {"Postgres": "postgres", "PostgREST": "postgrest", "NATS": "nats-server"}

# Like the command, but with shorter waits than users get.
HASTY = """
from model_registry.devstack import supervisor
supervisor.PAUSES = (0.05, 0.1, 0.15, 0.2)
from model_registry.cli import main
main()
"""


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as own:
        yield own


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """One for all tests: a killed component is restarted as good as new."""
    with starting() as own:
        yield own.start("--no-seed")


def child(up: Up, part: str) -> psutil.Process:
    children = psutil.Process(up.program.pid).children()
    (found,) = [process for process in children if process.name() == PROGRAMS[part]]
    return found


def is_ready(up: Up) -> bool:
    state = up.client.get("/readyz").json()
    return bool(state["status"] == "ready" and state["dependencies"]["database"]["status"] == "ok")


@pytest.mark.parametrize("part", PROGRAMS)
def test_a_killed_server_is_reported_and_restarted_and_nothing_is_lost(up: Up, part: str) -> None:
    wait_until(lambda: is_ready(up))
    up.add(f"before-{part}".lower())
    providers = up.client.get("/api/providers").json()
    said = len(up.program.said)
    dead = child(up, part)

    dead.send_signal(signal.SIGKILL)

    assert up.client.get("/api/providers").json() == providers, "reads go on"
    up.program.wait_for(rf"{part} +was killed \(SIGKILL\); it is started again in [\d.]+ s. [\s\S]*{part} +runs again")
    assert not dead.is_running(), "reaped: no zombie is left"
    wait_until(lambda: is_ready(up))
    added = up.client.post("/api/providers", json={"name": f"after-{part}".lower(), "type": "openai"})
    assert added.status_code == 201, added.text
    fresh = up.client.get("/api/providers", headers={"Cache-Control": "no-cache"}).json()
    assert [row for row in fresh["items"] if row["id"] != added.json()["id"]] == providers["items"]
    assert "Traceback" not in up.program.said[said:]


def test_a_part_that_cannot_be_started_ends_everything_with_the_reason_and_ctrl_c_ends_it(
    starter: Starter,
) -> None:
    up = starter.start("--no-seed", program=[sys.executable, "-c", HASTY])
    up.add("kept")
    version = up.data_dir / "postgres" / "PG_VERSION"
    version.rename(version.with_name("moved"))

    child(up, "Postgres").send_signal(signal.SIGKILL)

    assert up.program.wait_for_end() == 3
    assert "Postgres ended, or did not start, 5 times in a row, so everything is stopped." in up.program.said
    assert "is not a Postgres data directory" in up.program.said
    assert "Traceback" not in up.program.said
    assert alive(up.family) == []
    assert at_work_in(up.data_dir) == []

    # Once repaired, it starts at once, without waiting for the pause.
    version.with_name("moved").rename(version)
    again = starter.start("--no-seed", program=[sys.executable, "-c", HASTY.replace("0.05", "3600")])
    assert again.knows("kept")
    child(again, "PostgREST").send_signal(signal.SIGKILL)
    again.program.wait_for("it is started again in 3600 s")
    assert again.program.stop(signal.SIGINT) == 0
    assert again.program.said.endswith("stopped\n")
    assert alive(again.family) == []
