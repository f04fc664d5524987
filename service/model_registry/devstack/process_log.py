"""What a part of the stack says: read from a pipe and appended to its log, by a thread of its own.

The program never writes to the disk itself. When that is full, lines are lost and nothing else: PostgREST, for one,
answers 500 to everything that it cannot log.
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
"""A log that has grown so large is kept as `.1`, and a new one begun."""
_LAST_LINES = 15
_LINE_BYTES = 10_000
_REST_SECONDS = 1.0
"""For the thread to read what a program said before it ended; children that outlive it may hold the pipe longer."""


class PartLog:
    """The log of one part, for one run after the other."""

    def __init__(self, path: Path, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._thread: Thread | None = None

    def begin(self) -> int:
        """Begin to read a run, and return the end of the pipe that the program writes to. The caller closes it."""
        make_private_directory(self.path.parent)
        reading, writing = os.pipe()
        self._last = deque(maxlen=_LAST_LINES)
        arguments = (os.fdopen(reading, "rb"), self._last)
        self._thread = Thread(target=self._run, args=arguments, name=f"log-{self.path.stem}", daemon=True)
        self._thread.start()
        return writing

    def last_lines(self) -> str:
        """Return what the run said last, for a message to people."""
        if self._thread is not None:
            self._thread.join(_REST_SECONDS)
        return "\n".join([f"The end of {self.path}:", *(f"  {line}" for line in tuple(self._last))])

    def _run(self, said: IO[bytes], last: deque[str]) -> None:
        """Read until every process that has the pipe is gone."""
        file: IO[bytes] | None = None
        with said:
            while line := said.readline(_LINE_BYTES):
                last.append(line.decode(errors="replace").rstrip())
                file = self._append(file, line)
        if file is not None:
            file.close()

    def _append(self, file: IO[bytes] | None, line: bytes) -> IO[bytes] | None:
        """Append a line and return the file to go on with: None after an error, so that the next line tries anew."""
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
