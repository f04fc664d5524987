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
        self._rest = b""
        self._size = 0
        self._begun = False
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def read(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece."""
        text = self._rest + piece
        if not self._begun and text:
            self._begun = True
            text = text.removeprefix(b"\xef\xbb\xbf")
        begin = 0
        for end in _END_OF_LINE.finditer(text):
            if end[0] == b"\r" and end.end() == len(text):
                break  # the next piece may begin with the other half
            event = self._line(text[begin : end.start()])
            begin = end.end()
            if event is not None:
                yield event
        self._rest = text[begin:]
        if self._size + len(self._rest) > self._most_bytes:
            message = f"an event is longer than {self._most_bytes:,} bytes"
            raise ValueError(message)

    def _line(self, line: bytes) -> Event | None:
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
