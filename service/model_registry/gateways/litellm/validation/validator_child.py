"""Validates successive configurations. Started by `checker.py`, which exchanges lines of JSON with it.

It confines itself before it reads the first line: no network, no program, no file but Python's own. LiteLLM is imported
with the first job that asks for it, which takes seconds.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_registry.confinement.walls import shut_in_for_good
from model_registry.errors import Reason
from model_registry.gateways.litellm.validation.parts import Reader, Unreadable
from model_registry.gateways.litellm.validation.router import RouterCheck, unknown_settings
from model_registry.gateways.litellm.validation.rules import Checked, check

_answers = sys.stdout
"""LiteLLM prints to the standard output too, so it gets another one."""

_LONGEST_REASON = 1000
_MOST_CHARACTERS = 2_000_000
"""Of all reasons: ten thousand entries fit, each with one. Aliases of one long text make gigabytes of it."""


def main(directory: str, niceness: int) -> None:
    """Confine the process, then validate until the input ends.

    Args:
        directory: the working directory. Nothing can be written there or anywhere else.
        niceness: added to the process's nice value.
    """
    os.nice(niceness)
    tempfile.tempdir = directory  # LiteLLM asks for the path of one, and Python would try to write there
    try:
        shut_in_for_good(
            Path(directory), [Path(directory)]
        )  # with it as the whole file system, nothing more could be imported
    except OSError as error:
        _write({"unconfined": f"the process of the check cannot be shut in: {error}"})
        return
    sys.stdout = sys.stderr
    gc.disable()  # no check waits for the garbage collector to scan a million objects
    reader, router = Reader(), RouterCheck()
    for line in sys.stdin:
        job = json.loads(line)
        checked, by_loader = validated(job["text"], reader, router if job["loader"] else None)
        faults, warnings = ([asdict(reason) for reason in bounded(all_)] for all_ in (checked.faults, checked.warnings))
        _write({"faults": faults, "warnings": warnings, "by_loader": by_loader})
        gc.collect()
        gc.freeze()


def validated(text: str, reader: Reader, router: RouterCheck | None) -> tuple[Checked, bool]:
    """Return what is found, and whether LiteLLM was asked: only about what the rules accept."""
    try:
        parts = reader.read(text)
    except Unreadable as error:
        return Checked((Reason("", str(error)),)), False
    checked = check(parts)
    if checked.faults or router is None:
        return checked, False
    faults = tuple(router.check(parts))
    return Checked(faults, (*checked.warnings, *unknown_settings(parts.tree))), True


def bounded(reasons: Iterable[Reason]) -> Iterator[Reason]:
    """Yield the reasons, each cut, until they are too many: they quote what somebody wrote, however much that is."""
    left = _MOST_CHARACTERS
    for reason in reasons:
        where, message = (
            text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
            for text in (reason.where, reason.message)
        )
        left -= len(where) + len(message)
        if left < 0:
            yield Reason("", "there is more, which is not listed: repair these, and check it again")
            return
        yield Reason(where, message)


def _write(answer: dict[str, Any]) -> None:
    _answers.write(json.dumps(answer) + "\n")
    _answers.flush()
