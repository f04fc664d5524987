"""This machine's GPUs, as `nvidia-smi` reports them. Without it, or without its answer, nothing is reported."""

from __future__ import annotations

import asyncio
import logging
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Any

log = logging.getLogger(__name__)

_COLUMNS = {
    "index": "gpu_index",
    "memory.total": "total_vram_mb",
    "memory.used": "used_vram_mb",
    "memory.free": "free_vram_mb",
    "utilization.gpu": "utilization_percent",
    "temperature.gpu": "temperature_c",
    "power.draw": "power_draw_w",
    "power.limit": "power_limit_w",
}
"""Columns of the query, and their names in a status message. `name` comes last: it may hold commas."""
_LASTING = ("gpu_index", "total_vram_mb", "name")
"""Facts of a GPU that do not change."""


class NvidiaSmi:
    """Runs the program for each question; a driver that hangs blocks nothing."""

    def __init__(self, answer_seconds: float = 3.0) -> None:
        self._answer_seconds = answer_seconds
        self._process: Process | None = None
        self._warned = ""
        self._there: list[dict[str, Any]] = []

    async def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of each GPU; empty without any. Takes up to `answer_seconds`.

        Without an answer, the GPUs of the last one are still there: a node that forgets its memory for a moment would
        lose its place among the routes of gateways, which restart for that.
        """
        program = shutil.which("nvidia-smi")
        if program is None:
            return []
        if self._process is not None and self._process.returncode is None:
            # The last one hangs, as it does when a GPU has fallen off its bus: one hanging process is enough.
            return self._there
        try:
            gpus = parse(await self._ask(program))
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error) or "no answer"
            if reason != self._warned:
                log.warning("nvidia-smi fails, so the use of VRAM is not reported: %s", reason)
            self._warned = reason
            return self._there
        self._there = [{name: gpu[name] for name in _LASTING if name in gpu} for gpu in gpus]
        return gpus

    async def _ask(self, program: str) -> str:
        query = ",".join([*_COLUMNS, "name"])
        self._process = process = await asyncio.create_subprocess_exec(
            program, f"--query-gpu={query}", "--format=csv,noheader,nounits", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
        try:
            async with asyncio.timeout(self._answer_seconds):
                answer, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        if process.returncode:
            raise ValueError(f"it ends with {process.returncode}")
        return answer.decode("utf-8", "replace")


def parse(answer: str) -> list[dict[str, Any]]:
    """Read one line per GPU. `[N/A]`, as for memory that CPU and GPU share, is left out. Errors: ValueError."""
    gpus = []
    for line in answer.splitlines():
        values = [value.strip() for value in line.split(",", len(_COLUMNS))]
        if len(values) <= len(_COLUMNS):
            raise ValueError(f"it answers {line[:80]!r}")
        numbers = {name: _number(value) for name, value in zip(_COLUMNS.values(), values, strict=False)}
        gpus.append({name: value for name, value in numbers.items() if value is not None} | {"name": values[-1]})
    return gpus


def _number(value: str) -> float | int | None:
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return None
