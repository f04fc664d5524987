"""Denies this process files, TCP, signals and abstract sockets (Landlock). Needs kernel support and no privileges.

Source: the kernel's `uapi/linux/landlock.h`; the numbers are stable, and the same on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR

from model_registry.confinement.kernel import machine, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FIRST_RIGHTS = (1 << 13) - 1
_RIGHTS_SINCE = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL))
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL
_TCP, _TCP_SINCE = 0b11, 4
_SCOPES, _SCOPES_SINCE = 0b11, 6
"""Abstract Unix sockets and signals."""

READ = READ_FILE | READ_DIR
ALL = _FIRST_RIGHTS | _REFER | _TRUNCATE


def landlock_version() -> int:
    """Return the kernel's Landlock version; 0 without Landlock."""
    if machine() is None:
        return 0
    with suppress(OSError):
        return syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return 0


def allow_only(allowed: Iterable[tuple[Path, int]]) -> None:
    """Allow only these files, and everything below these directories, with these rights. No TCP, no signals to others.

    Call before the first thread starts. Missing paths are skipped.

    Raises:
        OSError: the kernel refuses.
    """
    version = landlock_version()
    handled = _FIRST_RIGHTS
    for since, right in _RIGHTS_SINCE:
        handled |= right if version >= since else 0
    attributes = struct.pack(
        "=QQQ", handled, _TCP if version >= _TCP_SINCE else 0, _SCOPES if version >= _SCOPES_SINCE else 0
    )
    size = 24 if version >= _SCOPES_SINCE else 16 if version >= _TCP_SINCE else 8
    ruleset = syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path, rights in allowed:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path, rights & handled)
        syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _ON_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
