"""Denies this process system calls that reach a network or another process (seccomp).

A deny list rather than an allow list: the gateway is a large program whose needs change with each release. Files are
in `landlock.py`. Numbers: the kernel's unistd tables, which never change.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from model_registry.confinement.kernel import machine, syscall

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE, _ALL_THREADS = 1, 2, 1

_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_ACTION = 0xFFFF0000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD, _AF_UNIX = 0x10000, 1

_NUMBERS: dict[str, tuple[int | None, int]] = {
    # Networks. `socket` is all of them: TCP, UDP, raw, netlink, and Unix sockets by path or abstract name.
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "sendmsg": (46, 211), "sendmmsg": (307, 269), "sendto": (44, 206), "socketpair": (53, 199),
    # io_uring does all of that, and files, past any filter.
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # Other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "move_pages": (279, 239),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "migrate_pages": (256, 238), "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "setpgid": (109, 154), "setsid": (112, 157),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1), "clone": (56, 220),
    "clone3": (435, 435),
    # Other views of the file system, and what Landlock leaves open in it.
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
    "inotify_init": (253, -1), "inotify_init1": (294, 26), "chmod": (90, -1), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1),
    "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1), "utimensat": (280, 88), "futimesat": (261, -1),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    # The kernel itself.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "syslog": (103, 116), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "acct": (163, 89), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142),
}  # fmt: skip
"""Numbers on x86_64 and aarch64; -1: the architecture lacks the call."""

_STARTS_PROGRAMS = frozenset({"execve", "execveat", "fork", "vfork", "clone", "clone3", "kill", "unshare", "chroot"})
"""Calls needed by a process that starts and ends another one, which confines itself further."""
_ON_ITSELF = frozenset({"kill", "tgkill", "prlimit64"})

_Step = tuple[int, int, int, int]


def has_seccomp() -> bool:
    """Whether this kernel supports seccomp filters."""
    kind = machine()
    if kind is None:
        return False
    try:
        syscall(
            _SECCOMP[kind],
            ctypes.c_uint(_GET_ACTION_AVAILABLE),
            ctypes.c_uint(0),
            (ctypes.c_uint32 * 1)(_REFUSE & _ACTION),
        )
    except OSError:
        return False
    return True


def give_up_system_calls(*, starts_programs: bool) -> None:
    """Deny networks and other processes for good. The kernel requires `gain_nothing_more` first.

    Args:
        starts_programs: whether this process may still start programs, which inherit the filter, and end them.

    Raises:
        OSError: the kernel refuses.
    """
    kind = machine()
    if kind is None:
        raise OSError("the system calls of this processor are not known")
    steps = b"".join(
        struct.pack("=HBBI", *step) for step in _program(kind, _STARTS_PROGRAMS if starts_programs else frozenset())
    )
    program = ctypes.create_string_buffer(steps, len(steps))
    header = struct.pack("@HP", len(steps) // 8, ctypes.addressof(program))
    filtered = ctypes.create_string_buffer(header, len(header))
    if syscall(_SECCOMP[kind], ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_ALL_THREADS), filtered):
        raise OSError("a thread of this process cannot be confined")  # the result is its id


def _program(kind: str, kept: frozenset[str]) -> Iterator[_Step]:
    """Yield BPF instructions: code, instructions to skip if true, if false, and the value."""
    column = list(_SECCOMP).index(kind)
    yield from [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_IF_EQUAL, 1, 0, _ARCHITECTURE[kind]), (_RETURN, 0, 0, _REFUSE)]
    yield (_LOAD, 0, 0, _NUMBER_AT)
    if kind == "x86_64":  # the x32 ABI: the same calls under other numbers
        yield from [(_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    for name, numbers in _NUMBERS.items():
        number = numbers[column]
        if number is not None and number >= 0 and name not in kept:
            answer = list(_answer(name))
            yield (_IF_EQUAL, 0, len(answer), number)
            yield from answer
    yield (_RETURN, 0, 0, _ALLOW)


def _answer(name: str) -> Iterator[_Step]:
    """Yield the instructions that decide about a call, after its number matched."""
    if name == "clone3":
        yield (_RETURN, 0, 0, _UNKNOWN)  # its arguments cannot be inspected; the C library then falls back to `clone`
    elif name in _ON_ITSELF:
        yield from _if_argument(0, os.getpid())
        if name == "prlimit64":
            yield from [(_IF_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW)]
        yield (_RETURN, 0, 0, _REFUSE)
    elif name == "socketpair":
        yield from [*_if_argument(0, _AF_UNIX), (_RETURN, 0, 0, _REFUSE)]
    elif name == "clone":
        yield from [(_LOAD, 0, 0, _ARGUMENTS_AT), (_IF_ANY_BIT, 0, 1, _CLONE_THREAD), (_RETURN, 0, 0, _ALLOW)]
        yield (_RETURN, 0, 0, _REFUSE)
    elif name == "sendto":  # without an address it writes to this process's own socket pair
        low = _ARGUMENTS_AT + 4 * 8
        yield from [(_LOAD, 0, 0, low), (_IF_EQUAL, 0, 3, 0), (_LOAD, 0, 0, low + 4), (_IF_EQUAL, 0, 1, 0)]
        yield from [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    else:
        yield (_RETURN, 0, 0, _REFUSE)


def _if_argument(index: int, value: int) -> Iterator[_Step]:
    """Allow the call when its argument equals a value; both architectures store the lower half first."""
    yield from [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index), (_IF_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
