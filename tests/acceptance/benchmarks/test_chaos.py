"""Nothing is lost and nothing invented while components of the registry are killed: the short form of `make chaos`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import chaos

SHORT = "--nodes 20 --models 4 --replicas 2 --seconds 4 --heartbeat 0.5 --patience 60"


def test_a_fleet_is_as_it_must_be_after_every_part_was_killed(
    stack: Any, database_url: str, nats_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert database_url == stack.environment()["DATABASE_URL"]
    assert nats_url == stack.environment()["NATS_URL"]

    wrong = chaos.wrong_after_chaos(chaos.options_from(SHORT.split()), stack, tmp_path)

    said = capsys.readouterr().out
    assert wrong == [], said
    for part in ("PostgREST", "Postgres", "NATS", "a replica"):
        assert re.search(rf"killed: .*{part} [1-9]", said), said
    looked, entries = re.findall(r"(\d+) acknowledgements followed up; (\d+) of the ledger", said)[0]
    assert int(looked) > 100
    assert int(entries) > 5
