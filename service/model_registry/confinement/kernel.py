"""System calls that Python has no function for. Calls and checks them; `walls.py` decides which."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SYS_CHROOT = 1 << 18
_CAPSET = {"x86_64": 126, "aarch64": 91}
_UNSHARE = {"x86_64": 272, "aarch64": 97}
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


def machine() -> str | None:
    """Return the processor's architecture, if this module knows its system call numbers."""
    kind = platform.machine()
    return kind if sys.platform == "linux" and kind in _CAPSET else None


def syscall(number: int, *arguments: object) -> int:
    """Make a system call.

    Raises:
        OSError: the kernel refuses, or this is not Linux.
    """
    if _LIBC is None:
        raise OSError("this is not Linux")
    return _checked(_LIBC.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, *arguments: object) -> int:
    """Set an attribute of this process. Errors: OSError."""
    if _LIBC is None:
        raise OSError("this is not Linux")
    padded = [*arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *padded))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def gain_nothing_more() -> None:
    """Ignore set-user-id bits of programs started from here, and hide this process's memory in /proc."""
    if _LIBC is None:
        return
    prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
    prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0))


def leave_namespaces() -> bool:
    """Enter a network without interfaces. Return False where not permitted. Call before the first thread starts."""
    kind = machine()
    if kind is None:
        return False
    for flags in (_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC, _CLONE_NEWNET | _CLONE_NEWIPC):
        try:
            syscall(_UNSHARE[kind], ctypes.c_ulong(flags))
        except OSError:
            continue
        return True
    return False


def keep_capabilities(*, may_chroot: bool) -> None:
    """Drop the capabilities of root and of a user namespace; optionally keep `chroot`. Errors: OSError.

    A process without that capability does not gain it.
    """
    kind = machine()
    if kind is None:
        return
    kept = _CAP_SYS_CHROOT if may_chroot else 0
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    try:
        syscall(_CAPSET[kind], header, (ctypes.c_uint32 * 6)(kept, kept))
    except PermissionError:
        syscall(_CAPSET[kind], header, (ctypes.c_uint32 * 6)())
