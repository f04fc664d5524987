"""Copies a server's output from a pipe to its log, in a thread of its own.

The program never writes to the disk itself. A full disk then only loses lines: PostgREST, for example, answers 500 to
every request that it cannot log.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO

from model_registry.private_files import make_private_directory, open_private

_LIMIT_BYTES = 10_000_000
"""A log of this size is renamed to `.1`, and a new one begun."""
_LAST_LINES = 15
_LINE_BYTES = 10_000
_REST_SECONDS = 1.0
"""Wait for the thread to read an ended program's last output; surviving children may keep the pipe open longer."""


class PartLog:
    """The log of one server, over successive runs."""

    def __init__(self, path: Path, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._thread: Thread | None = None

    def begin(self) -> int:
        """Begin to read a run, and return the writing end of the pipe. The caller closes it."""
        make_private_directory(self.path.parent)
        reading, writing = os.pipe()
        self._last = deque(maxlen=_LAST_LINES)
        arguments = (os.fdopen(reading, "rb"), self._last)
        self._thread = Thread(target=self._run, args=arguments, name=f"log-{self.path.stem}", daemon=True)
        self._thread.start()
        return writing

    def last_lines(self) -> str:
        """Return the last lines of the run, for a message."""
        if self._thread is not None:
            self._thread.join(_REST_SECONDS)
        return "\n".join([f"The end of {self.path}:", *(f"  {line}" for line in tuple(self._last))])

    def _run(self, output: IO[bytes], last: deque[str]) -> None:
        """Read until every process has closed the pipe."""
        file: IO[bytes] | None = None
        with output:
            while line := output.readline(_LINE_BYTES):
                last.append(line.decode(errors="replace").rstrip())
                file = self._append(file, line)
        if file is not None:
            file.close()

    def _append(self, file: IO[bytes] | None, line: bytes) -> IO[bytes] | None:
        """Append a line and return the file to use next: None after an error, so that the next line reopens it."""
        try:
            if file is None:
                file = open_private(self.path, "ab", buffering=0)
            file.write(line)
            if file.tell() > self._limit_bytes:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                file.close()
                return None
        except OSError:
            if file is not None:
                with suppress(OSError):
                    file.close()
            return None
        return file
