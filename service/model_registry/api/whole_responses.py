"""Send the head of a response together with the beginning of its body: one system call and one packet instead of two.

uvicorn writes the head at once. For a small response that is a third of what the answer costs, and the caller wakes up
for a head alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

_JOINED = 64 * 2**10
"""Bytes that are copied sooner than handed to the socket separately."""


class WholeResponses:
    """A connection's transport as uvicorn sees it. What it holds back leaves within the same turn of the loop."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, unless it is a head: then with what follows, or soon."""
        head = self._head
        if head:
            self._head = b""
            if len(data) < _JOINED:
                self._transport.write(head + data)
            else:
                self._transport.writelines((head, data))
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Send a head with its body. It may follow a head that is held: that of a response without a body."""
        self._flush()
        self._transport.write(data)

    def close(self) -> None:
        """Close when everything is sent."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be."""
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a transport has)
        return getattr(self._transport, name)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
