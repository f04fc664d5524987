"""The limit for dispatch: a proxy in Python that looks at nothing, over the registry's own connections to upstreams.

Raw ASGI under uvicorn. Started by `peers.py` with its port and the upstream's.
"""

from __future__ import annotations

import sys
from functools import cache

import uvicorn
from starlette.types import Receive, Scope, Send

from model_registry.http11.addresses import Origin
from model_registry.http11.connections import Connections

_ORIGIN = Origin("http", "127.0.0.1", int(sys.argv[2]))
_connections = cache(Connections)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass on a request whose body comes in one piece, and its response as it comes."""
    body = (await receive())["body"]
    async with await _connections().exchange(_ORIGIN) as exchange:
        await exchange.send_head(scope["method"].encode(), scope["raw_path"], scope["headers"])
        await exchange.send(body)
        await exchange.end()
        head = await exchange.response()
        headers = [header for header in head.headers if header[0] not in {b"date", b"server"}]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        while data := await exchange.read():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)
