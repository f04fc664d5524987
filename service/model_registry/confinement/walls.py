"""Confines the current process, once, before it reads untrusted input; reports the walls that a machine lacks.

A wall that the kernel supports must be raised, or the process ends. An unsupported one is skipped: `missing_walls`
names it, and the parent process reports it to the operator.
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
"""Bytes of private memory. The gateway needs 0.2 GB for 10,000 models."""
_ADDRESSES = 64 * 2**30
"""Bytes of address space: threads reserve far more than they use."""
_OPEN_FILES = 256
_LARGEST_FILE = 128 * 2**20

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")

_PACKAGES = Path(__file__).parents[2]
"""The parent of this package. Python lists this directory; its other files stay unreadable."""


def missing_walls() -> tuple[str, ...]:
    """Return the resources that this kernel cannot deny, and its missing features. Empty where all walls stand."""
    missing = []
    if not landlock_version():
        missing.append("files of this machine (Landlock: Linux 5.13 or newer, not switched off by the container)")
    if not has_seccomp():
        missing.append("the network and other processes (seccomp, on x86_64 or aarch64)")
    return tuple(missing)


def shut_in(directory: Path) -> None:
    """Confine a process that starts one other program: no network, and only the files of its directory and Python."""
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
    """Confine a process that starts no program: it may read its directory, `readable` and Python's files.

    Where the kernel permits, the directory becomes the whole file system, unless `readable` names other paths.

    Args:
        directory: becomes the working directory.
        readable: further files, and directories with everything below.
        load: performs the imports. Files are denied before, because a library may start threads, which Landlock would
            not cover; the rest is denied afterwards.
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
    """End this process after it has used this much CPU time from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 1, hard))


def _become_root() -> None:
    """Make the working directory the root, if permitted: some systems grant a user namespace without rights in it."""
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
        except ValueError as error:  # some systems know a limit that cannot be set
            if sys.platform == "linux":
                raise OSError(f"a limit cannot be set: {error}") from error


def _interpreter() -> list[Path]:
    """Return the paths of Python, its packages and libraries, and this package. Never a working directory."""
    standard = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    packages = [Path(__file__).parents[1], Path(sys.prefix, "pyvenv.cfg")]
    installed = (path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"})
    named = (*standard, *installed, *_LIBRARIES, str(Path(sys.base_prefix, "lib")))
    return [*packages, *(Path(os.path.realpath(path)) for path in named)]


def _loaders() -> list[Path]:
    """Return the dynamic loaders, one of which starts Python."""
    directories = (Path("/lib64"), Path("/lib"))
    return [Path(os.path.realpath(file)) for directory in directories for file in directory.glob("ld-*.so*")]
