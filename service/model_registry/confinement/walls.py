"""A process shuts itself in, once, before it reads anything that a stranger wrote; and which walls a machine lacks.

A wall that the kernel has must stand, or the process ends. One that it lacks is left out: `missing_walls` names it, and
whoever starts such processes says so where an operator looks.
"""

from __future__ import annotations

import os
import resource
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from model_registry.confinement.kernel import gain_nothing_more, keep_capabilities, leave_namespaces
from model_registry.confinement.landlock import ALL, EXECUTE, READ, READ_DIR, READ_FILE, allow_only, landlock_version
from model_registry.confinement.seccomp import give_up_system_calls, has_seccomp

_MEMORY = 2**30
"""Bytes of memory of its own. 10,000 models take the gateway 0.2 GB."""
_ADDRESSES = 64 * 2**30
"""Bytes of addresses: threads reserve much that they never touch."""
_OPEN_FILES = 256
_LARGEST_FILE = 128 * 2**20

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")

_PACKAGES = Path(__file__).parents[2]
"""Where this package is found. Python lists the directory; what else is in it is not read."""


def missing_walls() -> tuple[str, ...]:
    """What this kernel cannot keep a check from, and what it takes. Empty where all walls stand."""
    missing = []
    if not landlock_version():
        missing.append("files of this machine (Landlock: Linux 5.13 or newer, not switched off by the container)")
    if not has_seccomp():
        missing.append("the network and other processes (seccomp, on x86_64 or aarch64)")
    return tuple(missing)


def shut_in(directory: Path) -> None:
    """For a process that starts one other program: no network, and no file but its directory and Python's own."""
    gain_nothing_more()
    _bound(largest_file=_LARGEST_FILE)
    if landlock_version():
        allowed = [(directory, ALL), (_PACKAGES, READ_DIR), *((path, READ) for path in _interpreter())]
        allowed += [(Path(os.path.realpath(sys.executable)), READ_FILE | EXECUTE)]
        allowed += [(path, READ_FILE | EXECUTE) for path in _loaders()]
        allow_only(allowed)
    if has_seccomp():
        give_up_system_calls(starts_programs=True)


def shut_in_for_good(directory: Path, readable: Iterable[Path] = (), load: Callable[[], object] = tuple) -> None:
    """For a process that starts none: it reads its directory, these paths and Python's own, and computes.

    Where the kernel lets it, the directory becomes the whole file system, unless other paths are to be readable.

    Args:
        directory: becomes the working directory.
        readable: other files, and directories with all that is below.
        load: imports what is needed. Files are taken away before it, because a library may start threads, which
            Landlock would not hold; the rest after it.
    """
    readable = tuple(readable)
    allowed = [(_PACKAGES, READ_DIR), *((path, READ) for path in (directory, *readable, *_interpreter()))]
    gain_nothing_more()
    _bound(largest_file=0)
    os.chdir(directory)
    apart = leave_namespaces()
    keep_capabilities(may_chroot=apart)
    if landlock_version():
        allow_only(allowed)
    load()
    if apart and not readable:
        _become_root()
    keep_capabilities(may_chroot=False)
    if has_seccomp():
        give_up_system_calls(starts_programs=False)


def limit_cpu(seconds: float) -> None:
    """End this process when it has computed for so long from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def _become_root() -> None:
    """Make the working directory the whole file system. Some systems give a user namespace and no rights in it."""
    try:
        os.chroot(".")
        os.chdir("/")
    except OSError:
        return


def _bound(*, largest_file: int) -> None:
    limits = {
        resource.RLIMIT_DATA: _MEMORY,
        resource.RLIMIT_AS: _ADDRESSES,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_FSIZE: largest_file,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        _, hard = resource.getrlimit(limit)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(limit, (bound, bound))
        except ValueError as error:  # some systems know a limit and do not let it be set
            if sys.platform == "linux":
                raise OSError(f"a limit cannot be set: {error}") from error


def _interpreter() -> list[Path]:
    """Where Python, its packages and its libraries are, and this package. Never a working directory."""
    standard = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    packages = [Path(__file__).parents[1], Path(sys.prefix, "pyvenv.cfg")]
    installed = (path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"})
    named = (*standard, *installed, *_LIBRARIES, str(Path(sys.base_prefix, "lib")))
    return [*packages, *(Path(os.path.realpath(path)) for path in named)]


def _loaders() -> list[Path]:
    """The programs that load shared libraries: starting Python starts one of them."""
    places = (Path("/lib64"), Path("/lib"))
    return [Path(os.path.realpath(file)) for place in places for file in place.glob("ld-*.so*")]
