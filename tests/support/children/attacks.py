"""What a process that reads a stranger's text must not be able to do, tried one after the other.

Runs in the place of the gateway's process (`GatewayProcess(child="support.children.attacks")`), behind the same walls.
The "configuration" is a JSON file of targets; the answer is what succeeded.
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 (names of hosts need it, and nothing can be imported later)
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from model_registry.confinement.walls import shut_in_for_good
from model_registry.gateways.tensorzero.validation import gateway_child

Targets = dict[str, Any]
_CALLS = {"x86_64": {"ptrace": 101, "readv": 310, "pidfd": 434, "uring": 425}}
_CALLS["aarch64"] = {"ptrace": 117, "readv": 270, "pidfd": 434, "uring": 425}
_PTRACE_SEIZE = 0x4206


def main(directory: str, readable: list[str]) -> None:
    """Shut in as the gateway's process does, then attack."""
    shut_in_for_good(Path(directory), map(Path, readable), load=gateway_child.load_gateway)
    answer_all()


def answer_all() -> None:
    """Attack once for every line."""
    for line in sys.stdin:
        job = json.loads(line)
        os.environ.clear()
        os.environ.update(job["environment"])
        done = attempts(json.loads(Path(job["path"]).read_bytes()))
        sys.stdout.write(job["mark"] + json.dumps({"refusal": json.dumps(done)}) + "\n")
        sys.stdout.flush()


def attempts(targets: Targets) -> list[str]:
    """The attacks that succeeded."""
    return [name for name, attack in attacks(targets).items() if _succeeds(attack)]


def _succeeds(attack: Callable[[], object]) -> bool:
    try:
        attack()
    except (OSError, MemoryError):
        return False
    return True


def attacks(targets: Targets) -> dict[str, Callable[[], object]]:
    """Each raises when it fails."""
    parent = targets["parent"]
    return {
        **{f"read {path}": partial(_read, path) for path in targets["files"]},
        "list /": lambda: _must(set(os.listdir("/")) & {"etc", "usr"}),  # noqa: PTH208 (nothing of pathlib's own)
        "write": lambda: Path(targets["elsewhere"]).write_text("x"),
        "write here": lambda: Path("x").write_text("x"),
        "change rights": lambda: os.chmod(targets["files"][0], 0o644),  # noqa: PTH101
        "tcp": lambda: socket.create_connection(("127.0.0.1", targets["tcp"]), 1),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", targets["udp"])),
        "dns": lambda: socket.getaddrinfo("localhost", 80),
        "unix": lambda: socket.socket(socket.AF_UNIX).connect(targets["unix"]),
        "abstract": lambda: socket.socket(socket.AF_UNIX).connect("\0" + targets["abstract"]),
        "datagram of a pair": lambda: _pair().sendto(b"x", "\0" + targets["abstract datagram"]),
        "message of a pair": lambda: _pair().sendmsg([b"x"], [], 0, "\0" + targets["abstract datagram"]),
        "io_uring": lambda: _call("uring", 1, ctypes.create_string_buffer(256)),
        "kill": lambda: os.kill(parent, 0),
        "limits": lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getpid(), 19),
        "pidfd": lambda: _call("pidfd", parent, 0),
        "ptrace": lambda: _call("ptrace", _PTRACE_SEIZE, parent, 0, 0),
        "memory of others": lambda: _peek(parent),
        "memory": lambda: mmap.mmap(-1, 5 * 2**30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
        "fork": _fork,
        "exec": lambda: _spawn(targets["program"]),
    }


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _pair() -> socket.socket:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]


def _must(found: object) -> None:
    if not found:
        raise OSError("nothing there")


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    number = _CALLS[os.uname().machine][name]
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)


def _peek(pid: int) -> None:
    """Read a page of another process that is not there: EFAULT is the answer to those who may."""
    try:
        piece = (ctypes.c_uint64 * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
        _call("readv", pid, piece, 1, (ctypes.c_uint64 * 2)(16, 8), 1, 0)
    except OSError as error:
        if error.errno != 14:
            raise


def _fork() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def _spawn(program: str) -> None:
    _must(os.waitpid(os.posix_spawn(program, [program], {}), 0)[1] == 0)
