"""Runs every measurement for `make bench`, and prints one table with the goals that were met and missed.

python benchmarks/run.py                    everything, some minutes
python benchmarks/run.py --only reads       one measurement; repeatable
python benchmarks/run.py --quick            a smoke run: shows that it works; its figures are not reliable
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import discovery
import dispatch
import events
import hostile
import knowledge
import machine
import memory
import reads
import rendering
import report
import selection
import snapshots
import start
import writes
from bench import Bench, Measurement
from report import Row

MEASUREMENTS: dict[str, Measurement] = {
    "reads": reads.measure,
    "writes": writes.measure,
    "events": events.measure,
    "snapshots": snapshots.measure,
    "rendering": rendering.measure,
    "selection": selection.measure,
    "memory": memory.measure,
    "start": start.measure,
    "dispatch": dispatch.measure,
    "knowledge": knowledge.measure,
    "hostile": hostile.measure,
    "discovery": discovery.measure,
}


def main(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Measure only this; repeatable. One of: {', '.join(MEASUREMENTS)}.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small amounts, few rounds: a smoke run of half a minute.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every figure and every round here too.")
    ] = None,
) -> None:
    """Measure the registry beside a limit or a peer, in one run on this machine, and print one table.

    Each row names the limit or peer; the registry and it took turns, round by round. A ratio is the median of the
    rounds' ratios; noise is half the span of the registry's rounds. A star marks rows during which other programs used
    more than a tenth of a core: run again when the machine is quiet. The method, the experiments and the last table are
    in docs/benchmarks.md.
    """
    unknown = sorted(set(only or ()) - MEASUREMENTS.keys())
    if unknown:
        message = f"there is no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}"
        raise typer.BadParameter(message)
    chosen = {name: measure for name, measure in MEASUREMENTS.items() if not only or name in only}
    before = machine.description()
    began = time.monotonic()
    rows: list[Row] = []
    notes: list[str] = []
    failed = _measure(chosen, rows, notes, quick=quick)
    after = machine.description()["load_average"]
    print(report.table(rows))
    print("\n" + "".join(f"{note}\n" for note in notes))
    print(_footer(before, after, rows, time.monotonic() - began, quick=quick))
    if json_file is not None:
        document: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": quick,
            "machine": before | {"load_average_after": after},
            "rows": [row.document() for row in rows],
        }
        json_file.write_text(json.dumps(document, indent=2) + "\n")
    if failed:
        print(f"not measured to the end: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _measure(chosen: dict[str, Measurement], rows: list[Row], notes: list[str], *, quick: bool) -> list[str]:
    """Add rows and notes as they come. Returns the measurements that failed; the others are still useful."""
    failed = []
    with ExitStack() as exits:
        scratch = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="registry-bench-")))
        bench = Bench(scratch, exits, quick=quick, say=_say)
        bench.notes = notes
        for name, measure in chosen.items():
            try:
                rows.extend(measure(bench))
            except Exception:  # noqa: BLE001 (it is printed, and the exit code reflects it)
                failed.append(name)
                traceback.print_exc()
        _say("stopping")
    _say("")
    return failed


def _say(text: str) -> None:
    """Progress on stderr: on a terminal one line that is overwritten, in a file one line per step."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _footer(before: dict[str, Any], after: list[float], rows: list[Row], seconds: float, *, quick: bool) -> str:
    goals = [row for row in rows if row.goal]
    missed = [row.what for row in goals if row.goal and not row.goal.met(row)]
    versions = ", ".join(f"{name} {before[name]}" for name in ("python", "uvicorn", "fastapi"))
    lines = [
        f"{len(goals) - len(missed)} of {len(goals)} goals met" + (f"; missed: {'; '.join(missed)}" if missed else ""),
        f"{before['processor']}, {before['cores']} cores, {before['memory_gb']} GB; {before['system']}; {versions}",
        f"load average {before['load_average'][0]} before, {after[0]} after; {seconds:.0f} s in all",
    ]
    if any(row.foreign > report.NOISY for row in rows):
        lines.append(f"* other programs used more than {report.NOISY} cores meanwhile: not a figure to quote")
    if quick:
        lines.append("A quick run: it shows that the benchmarks work, and nothing about speed.")
    return "\n".join(lines)


if __name__ == "__main__":
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command()(main)
    program()
