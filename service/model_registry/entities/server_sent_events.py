"""Server-sent events: written, and read from a stream piece by piece. Pure. Format: the HTML standard, section 9.2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_EVENT_BYTES = 2**20
"""Of an event that is read; a longer one is no event."""
HEARTBEAT = b":\n\n"
"""A comment: it keeps proxies from closing a stream in which nothing happens."""
MEDIA_TYPE = "text/event-stream"

_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    name: str
    data: str
    id: str | None = None


def event_bytes(name: str, data: bytes, event_id: str | None = None) -> bytes:
    """Write an event. `data` is JSON, which has no line breaks."""
    numbered = b"" if event_id is None else b"id: " + event_id.encode() + b"\n"
    return b"event: " + name.encode() + b"\n" + numbered + b"data: " + data + b"\n\n"


class EventReader:
    """Reads events from the pieces of a stream. Errors: ValueError, for an event that is too long."""

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._begun = bytearray()
        """Of a line whose end has not come: nothing of it is looked at twice, however small the pieces are."""
        self._after_return = False
        self._is_first = True
        self._size = 0
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def read(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece."""
        begin = 1 if self._after_return and piece.startswith(b"\n") else 0  # the other half of an end of line
        self._after_return = piece.endswith(b"\r") if piece else self._after_return
        for end in _END_OF_LINE.finditer(piece, begin):
            event = self._line(bytes(self._begun) + piece[begin : end.start()])
            self._begun.clear()
            begin = end.end()
            if event is not None:
                yield event
        self._begun += piece[begin:]
        if self._size + len(self._begun) > self._most_bytes:
            message = f"an event is longer than {self._most_bytes:,} bytes"
            raise ValueError(message)

    def _line(self, line: bytes) -> Event | None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            event = Event(self._name or "message", "\n".join(self._data), self._id) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return event
        self._size += len(line)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
