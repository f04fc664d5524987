"""Finds free ports on loopback, and refuses taken ones with a clear error.

Starts no process.
"""

from __future__ import annotations

import random
import socket

from model_registry.errors import StackError

LOOPBACK = "127.0.0.1"

# Below the range from which Linux and macOS take the ports of outgoing connections. In that range a client that keeps
# trying to reach a stopped server can be given the server's own port, connect to itself, and keep the server out.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server can listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def require_free(port: int, *, who: str, instead: str) -> None:
    """Refuse a port that is in use.

    Args:
        port: the requested port.
        who: the server, for the message.
        instead: the remedy, for the message: `choose another with --port`.

    Raises:
        StackError: the port is taken, or this user may not use it.
    """
    if not is_free(port):
        raise StackError(f"Port {port} for {who} is in use by another program. Stop that program, or {instead}")


def choose_port(preferred: int | None, *, taken: set[int]) -> int:
    """Return `preferred` when it is free, else a free port; never one of `taken`."""
    candidates = [] if preferred is None else [preferred]
    # Random, so that stacks starting at the same time choose different ports.
    candidates += random.sample(range(_FIRST, _LAST), _TRIES)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise StackError(f"No free port found between {_FIRST} and {_LAST}: stop some programs that listen there")
