"""Read one response from bytes as they come, however they are cut. No I/O: `connection.py` feeds it.

httptools parses. It decides neither how much a head may hold, nor what the end of a connection means: that is here.
"""

from __future__ import annotations

from typing import NamedTuple

import httptools

from model_registry.http11.errors import BadResponse, ConnectionBroken

MOST_HEAD_BYTES = 64 * 2**10
"""Of a head, of all heads before the final one together, and of what stands between two pieces of a body."""
MOST_HEADERS = 200


class ResponseHead(NamedTuple):
    """What precedes the body."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case; values and order as they came."""


class _Refused(Exception):
    """Stops the parser, with the reason."""


class ResponseParser:
    """One response. httptools calls the methods named `on_`; `close` when it is no longer needed."""

    body_follows = True
    """False for the response to HEAD, which has the headers of a body, and none."""
    head: ResponseHead | None = None
    buffered = 0
    """Bytes of `parts`."""
    began = complete = False
    keeps_alive = False
    """Of a complete response: whether the connection may carry another one."""
    _final = False
    """Whether the head that was read last is the response's, and not an interim one (1xx)."""
    _reason = b""
    _unparsed = 0
    """Bytes that came since the last piece of the body, or before the head was whole."""

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        """What has come of the body and was not taken."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read on. Errors: BadResponse; nothing may be fed after it, or after the end."""
        if self.complete or self._parser is None:
            self.keeps_alive = False  # more came than was asked for: the next response would be this one's
            return
        self.began = True
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self.complete:
                self.keeps_alive = False
                return
            raise BadResponse(self._explain(error), began=True) from None
        except httptools.HttpParserUpgrade:
            raise BadResponse("the server switched to another protocol, unasked", began=True) from None
        if self._unparsed > MOST_HEAD_BYTES and not self.complete:
            raise BadResponse(_TOO_LARGE, began=True)

    def end(self) -> None:
        """The server has closed its side. Errors: ConnectionBroken, unless the end of the connection is the body's."""
        if self.complete:
            return
        if self.head is None or self._is_delimited(self.head):
            what = "the response was complete" if self.began else "it answered"
            raise ConnectionBroken(f"the server closed the connection before {what}", began=self.began)
        self.complete = True

    def take(self) -> bytes:
        """What has come of the body, in one piece; empty when nothing has."""
        parts, self.parts, self.buffered = self.parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of the parser, which refers to this object: else only the garbage collector would free both."""
        self._parser = None

    def on_message_begin(self) -> None:
        """A head begins, or something after the end."""
        if self.complete:
            raise _Refused
        self._headers, self._reason = [], b""

    def on_status(self, reason: bytes) -> None:
        """A piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. What stands behind the body is left out: who reads the head has gone on."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole; unless it is an interim one, it is the response's."""
        parser = self._parser
        assert parser is not None  # noqa: S101 (it is calling)
        status = parser.get_status_code()
        if status not in _STATUSES:
            raise _Refused(f"the server answers {status}, which is no status of HTTP")
        self._final = status >= 200  # noqa: PLR2004 (1xx are interim)
        if not self._final:
            return
        headers, self._headers = self._headers, []
        if len(headers) > MOST_HEADERS:
            raise _Refused(f"the head of the response has more than {MOST_HEADERS} headers")
        # What came may be more than the head; then it is counted.
        if self._unparsed > MOST_HEAD_BYTES and sum(len(n) + len(v) for n, v in headers) > MOST_HEAD_BYTES:
            raise _Refused(_TOO_LARGE)
        self.head = ResponseHead(status, self._reason, headers)
        self._unparsed = 0
        if not self.body_follows:
            self._finish(keeps_alive=parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self.complete:
            raise _Refused
        self._unparsed = 0
        self.parts.append(data)
        self.buffered += len(data)

    def on_message_complete(self) -> None:
        """The response has ended, or an interim one has."""
        if self._final and not self.complete and self._parser is not None:
            self._finish(keeps_alive=self._parser.should_keep_alive())

    def _finish(self, *, keeps_alive: bool) -> None:
        self.complete, self.keeps_alive = True, keeps_alive

    @staticmethod
    def _is_delimited(head: ResponseHead) -> bool:
        """Whether the head says where the body ends."""
        return any(
            name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower())
            for name, value in head.headers
        )

    @staticmethod
    def _explain(error: httptools.HttpParserError) -> str:
        if isinstance(error.__context__, _Refused):
            return str(error.__context__)
        return f"the server does not speak HTTP/1.1: {error}"


_STATUSES = range(100, 600)
_TOO_LARGE = (
    f"the head of the response, or what stands between pieces of its body, exceeds {MOST_HEAD_BYTES // 2**10} KiB"
)
