"""Runs the embedded gateway on one configuration after another. Started by `gateway.py`, and nothing else imports it.

Reads one JSON object per line: the configuration's path and the environment. The gateway logs to the standard output,
as it likes; after each configuration a line that starts with the job's mark, which no configuration can know, says how
it went.

It shuts itself in before it reads the first line, and before it loads the gateway, which starts threads.
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


def main(directory: str, readable: Iterable[str]) -> None:
    """Answer until the input ends, from within walls.

    Args:
        directory: becomes the working directory, and where kernels allow it the whole file system.
        readable: what else may be read; with it the file system stays what it is.
    """
    try:
        shut_in_for_good(Path(directory), map(Path, readable), load=load_gateway)
    except OSError as error:
        _say({"unconfined": str(error)}, MARK)
        os._exit(1)
    serve()


def serve() -> None:
    """Answer until the input ends."""
    asyncio.run(_answer_all())
    os._exit(0)  # the gateway may crash its process on the way out, after having refused something


def load_gateway() -> None:
    """Import the gateway."""
    import tensorzero  # noqa: F401, PLC0415 (it starts threads, and comes after the walls)


async def _judge(path: str) -> str | None:
    """The gateway's own words on why it refuses, or None."""
    from tensorzero import AsyncTensorZeroGateway, TensorZeroError, TensorZeroInternalError  # noqa: PLC0415 (as above)

    try:
        loading = AsyncTensorZeroGateway.build_embedded(config_file=path, async_setup=True)
        gateway = await loading  # type: ignore[misc] # async_setup makes it a coroutine
        await gateway.close()
    except (TensorZeroError, TensorZeroInternalError, ValueError, RuntimeError) as error:
        return str(error)
    return None


async def _answer_all() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(job["environment"])
        limit_cpu(job["cpu_seconds"])
        _say({"refusal": await _judge(job["path"])}, job["mark"])


def _say(answer: dict[str, str | None], mark: str) -> None:
    os.write(sys.stdout.fileno(), mark.encode() + json.dumps(answer).encode() + b"\n")
