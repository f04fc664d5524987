"""A thousand sources in one process: `/s/N/v1/models` lists models as vLLM does, with an ETag. Started by discovery.py.

python benchmarks/source_server.py PORT MODELS

`/state` says how many connections there were at most at once; `/edition/N` changes one model of every source. Each
answer takes 20 ms, as from the next room: a source that answers at once would hide what waiting costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

_DELAY_SECONDS = 0.02


class Sources:
    """All sources; each request is answered after a moment."""

    def __init__(self, models: int) -> None:
        self.models = models
        self.edition = 0
        self.open = self.most_open = self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.split(b" ")[1].decode(), head))
                await writer.drain()
        self.open -= 1
        writer.close()

    async def _answer(self, path: str, head: bytes) -> bytes:
        if path == "/state":
            state = {"most_open": self.most_open, "asked": self.asked}
            self.most_open = self.asked = 0
            return _response(json.dumps(state).encode(), "none")
        if path.startswith("/edition/"):
            self.edition = int(path.rpartition("/")[2])
            return _response(b"{}", "none")
        self.asked += 1
        await asyncio.sleep(_DELAY_SECONDS)
        etag = f'"{self.edition}"'
        if etag.encode() in head:
            return f"HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n\r\n".encode()
        return _response(self._listing(path.split("/")[2]), etag)

    def _listing(self, source: str) -> bytes:
        data = [
            {
                "id": f"organisation-{source}/model-{number}-instruct",
                "owned_by": "vllm",
                "max_model_len": 32768 + (self.edition if number == 0 else 0),
            }
            for number in range(self.models)
        ]
        return json.dumps({"object": "list", "data": data}).encode()


def _response(content: bytes, etag: str) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: {etag}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def main(port: int, models: int) -> None:
    """Serve until killed."""
    sources = Sources(models)
    server = await asyncio.start_server(sources.serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
