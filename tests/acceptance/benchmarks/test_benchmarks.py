"""The benchmarks run and print their tables. Their figures are not tested: they depend on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT
from support.waiting import LONGEST

RUN = ROOT / "benchmarks" / "run.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=2 * LONGEST, check=False
    )


def test_a_quick_run_prints_a_table_and_writes_every_figure(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ran = bench("--quick", "--only", "rendering", "--only", "reads", "--json", str(file))
    assert ran.returncode == 0, ran.stderr

    lines = [line for line in ran.stdout.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["what", "registry", "beside it", "", "ratio", "goal", "", "noise"]
    assert {len(line) for line in cells} == {len(cells[0])}
    assert len({len(line) for line in lines}) == 1, "columns are not aligned"

    document = json.loads(file.read_text())
    rows = document["rows"]
    assert [row["what"] for row in rows] == [line[0] for line in cells[2:]]
    assert document["quick"]
    assert document["machine"]["cores"] >= 1
    reads = [row for row in rows if row["what"].startswith("GET") and row["goal"]]
    assert {(row["beside"], row["goal"]["number"]) for row in reads} == {("bare handler", 0.5), ("PostgREST", 3)}
    assert len(reads) == 12
    for row in rows:
        assert all(value > 0 for value in (*row["values"], *row["beside_values"])), row
    judged = [row for row in rows if row["goal"]]
    assert f"{sum(row['met'] for row in judged)} of {len(judged)} goals met" in ran.stdout


def test_a_name_that_is_no_measurement_is_refused_with_those_that_are() -> None:
    ran = bench("--only", "everything")
    assert ran.returncode == 2
    assert "reads" in ran.stderr
    assert "snapshots" in ran.stderr


def test_help_says_what_can_be_measured_and_how_to_read_the_table() -> None:
    ran = bench("--help")
    assert ran.returncode == 0
    for word in ("--only", "--quick", "--json", "reads", "ratio", "noise"):
        assert word in ran.stdout
