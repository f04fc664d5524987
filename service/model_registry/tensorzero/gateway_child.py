"""Runs the embedded gateway on one configuration after another. Started by `gateway.py`, and nothing else imports it.

Reads one JSON object per line: the configuration's path and the environment. The gateway logs to the standard output,
as it likes; after each configuration a line that starts with a record separator says how it went.
"""

import asyncio
import json
import os
import sys

from tensorzero import AsyncTensorZeroGateway, TensorZeroError, TensorZeroInternalError

_MARK = b"\x1e"


async def _judge(path: str) -> str | None:
    """The gateway's own words on why it refuses, or None."""
    try:
        loading = AsyncTensorZeroGateway.build_embedded(config_file=path, async_setup=True)
        gateway = await loading  # type: ignore[misc] # async_setup makes it a coroutine
        await gateway.close()
    except (TensorZeroError, TensorZeroInternalError, ValueError, RuntimeError) as error:
        return str(error)
    return None


async def _main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(job["environment"])
        answer = json.dumps({"refusal": await _judge(job["path"])}).encode()
        os.write(sys.stdout.fileno(), _MARK + answer + b"\n")


if __name__ == "__main__":
    asyncio.run(_main())
    os._exit(0)  # the gateway may crash its process on the way out, after having refused something
