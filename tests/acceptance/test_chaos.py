"""Nothing is lost and nothing invented while parts of the registry die: the short form of `make chaos`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).resolve().parents[2] / "benchmarks" / "chaos.py"
SHORT = ("--nodes", "20", "--models", "4", "--seconds", "4", "--heartbeat", "0.5", "--patience", "60")


def test_a_fleet_is_as_it_must_be_after_every_part_was_killed() -> None:
    ran = subprocess.run([sys.executable, str(CHAOS), *SHORT], capture_output=True, text=True, timeout=115, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for part in ("PostgREST", "Postgres", "NATS", "a replica"):
        assert re.search(rf"killed: .*{part} [1-9]", ran.stdout), ran.stdout
    looked, entries = re.findall(r"(\d+) acknowledgements followed up; (\d+) of the ledger", ran.stdout)[0]
    assert int(looked) > 100
    assert int(entries) > 5
