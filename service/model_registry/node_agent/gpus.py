"""Reads this machine's GPUs from `nvidia-smi`. Without it, or without an answer, reports nothing new."""

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
"""Queried columns, and their names in a status message. The GPU's name is queried last: it may hold commas."""
_LASTING = ("gpu_index", "total_vram_mb", "name")
"""Fields of a GPU that do not change."""


class NvidiaSmi:
    """Runs `nvidia-smi` at each call; a driver that hangs does not block the agent."""

    def __init__(self, answer_seconds: float = 3.0) -> None:
        self._answer_seconds = answer_seconds
        self._process: Process | None = None
        self._logged = ""
        self._last_known: list[dict[str, Any]] = []

    async def metrics(self) -> list[dict[str, Any]]:
        """Return each GPU; empty without `nvidia-smi`. Takes at most `answer_seconds`.

        Without an answer, return the lasting fields known before: a node whose memory disappears for a moment would
        lose its position among the gateways' routes, and gateways would reload.
        """
        program = shutil.which("nvidia-smi")
        if program is None:
            return []
        if self._process is not None and self._process.returncode is None:
            # The previous process hangs, as when a GPU has fallen off its bus: start no second one.
            return self._last_known
        try:
            gpus = parse(await self._ask(program))
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error) or "no answer"
            if reason != self._logged:
                log.warning("nvidia-smi fails, so the use of VRAM is not reported: %s", reason)
            self._logged = reason
            return self._last_known
        self._last_known = [{name: gpu[name] for name in _LASTING if name in gpu} for gpu in gpus]
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
    """Parse one line per GPU. Omits `[N/A]`, such as memory that CPU and GPU share. Errors: ValueError."""
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
