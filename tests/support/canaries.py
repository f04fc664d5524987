"""Detects forbidden access by a check: a file, a variable and listeners that no check may touch."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_IN_ACCESS, _IN_OPEN = 0x1, 0x20
VARIABLE = "REGISTRY_CANARY"


@dataclass
class Canaries:
    """Each detected access is reported once."""

    file: Path
    word: str
    """The content of the file and of the variable."""
    tcp: socket.socket
    udp: socket.socket
    watch: int
    calls: list[object]
    """The callers over TCP, recorded before their connection is closed."""

    @property
    def port(self) -> int:
        """The port of the listener for TCP."""
        return int(self.tcp.getsockname()[1])

    def touched(self, answer: object) -> list[str]:
        """What was read, reached or quoted since the last call."""
        found = ["quoted"] if self.word in str(answer) else []
        with suppress(BlockingIOError):
            found += ["opened"] if os.read(self.watch, 65536) else []
        if self.calls:
            self.calls.clear()
            found.append("tcp")
        with suppress(BlockingIOError):
            self.udp.recv(1)
            found.append("udp")
        return found


@contextmanager
def canaries(directory: Path) -> Iterator[Canaries]:
    """Set up the detectors."""
    word = f"CANARY-{secrets.token_hex(8)}"
    file = directory / "secrets.json"
    file.write_text(f'{{"api_key": "{word}", "text": "{word}"}}')
    with ExitStack() as stack:
        os.environ[VARIABLE] = word
        stack.callback(os.environ.pop, VARIABLE)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        udp.settimeout(0)
        watch = _watch(file)
        stack.callback(os.close, watch)
        calls: list[object] = []
        thread = threading.Thread(target=_hang_up_on_all, args=(tcp, calls), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(tcp.shutdown, socket.SHUT_RDWR)
        yield Canaries(file, word, tcp, udp, watch, calls)


def _hang_up_on_all(tcp: socket.socket, calls: list[object]) -> None:
    with suppress(OSError):  # until it is shut
        while True:
            connection, caller = tcp.accept()
            calls.append(caller)
            connection.close()


def _watch(file: Path) -> int:
    """A descriptor that becomes readable once the file has been opened."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(file), _IN_OPEN | _IN_ACCESS) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return watch
