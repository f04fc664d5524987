"""A caller that sends the same request at a steady rate until it is stopped, in a process of its own.

Beside the load generator, in one process, each would wait for the other. Started by `dispatch.py` with the port, the
requests a second, and the request itself in base64; stopped with SIGTERM.
"""

from __future__ import annotations

import asyncio
import base64
import sys

import uvloop

from load import LOOPBACK

_CONNECTIONS = 4


async def main(port: int, per_second: float, request: bytes) -> None:
    """Send over several connections; one that has no answer yet when its turn comes is late, and sends then."""
    loop = asyncio.get_running_loop()

    async def caller() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        due = loop.time()
        while True:
            await asyncio.sleep(due - loop.time())
            due += _CONNECTIONS / per_second
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"not a 200: {head!r}")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))

    await asyncio.gather(*(caller() for _ in range(_CONNECTIONS)))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), base64.b64decode(sys.argv[3])))
