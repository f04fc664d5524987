"""Runs the embedded gateway on successive configurations. Started by `gateway_process.py`.

Reads one JSON object per line: the configuration's path and the environment. The gateway logs freely to the standard
output; each result is a line that starts with the job's mark, which no configuration can know. The process confines
itself before it reads the first line, and before it loads the gateway, which starts threads.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from model_registry.confinement.walls import limit_cpu, shut_in_for_good

MARK = "\x1e"
"""Begins the answers that are read; the gateway logs without it."""


def main(directory: str, readable: Iterable[str]) -> None:
    """Confine the process, then validate until the input ends.

    Args:
        directory: becomes the working directory, and the whole file system where the kernel permits.
        readable: further readable paths; with any, the file system stays as it is.
    """
    try:
        shut_in_for_good(Path(directory), map(Path, readable), load=load_gateway)
    except OSError as error:
        _write({"unconfined": str(error)}, MARK)
        os._exit(1)
    serve()


def serve() -> None:
    """Validate until the input ends."""
    asyncio.run(_validate_all())
    os._exit(0)  # after a refusal the gateway may crash its process on exit


def load_gateway() -> None:
    """Import the gateway."""
    import tensorzero  # noqa: F401, PLC0415 (it starts threads, so it is imported after confinement)


async def _load(path: str) -> str | None:
    """Load a configuration, and return the gateway's reason for refusing it, or None."""
    from tensorzero import AsyncTensorZeroGateway, TensorZeroError, TensorZeroInternalError  # noqa: PLC0415 (as above)

    try:
        loading = AsyncTensorZeroGateway.build_embedded(config_file=path, async_setup=True)
        gateway = await loading  # type: ignore[misc] # async_setup makes it a coroutine
        await gateway.close()
    except (TensorZeroError, TensorZeroInternalError, ValueError, RuntimeError) as error:
        return str(error)
    return None


async def _validate_all() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(job["environment"])
        limit_cpu(job["cpu_seconds"])
        _write({"refusal": await _load(job["path"])}, job["mark"])


def _write(answer: dict[str, str | None], mark: str) -> None:
    os.write(sys.stdout.fileno(), mark.encode() + json.dumps(answer).encode() + b"\n")
