"""Chooses the system user for Postgres when we are root, which Postgres refuses, and opens directories to that user.

Grants only traversal, and only where it is missing. Does nothing when we are not root.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_registry.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

_USER = "pgserver"
_FALLBACK = "nobody"


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A user of this system, with only its own group: our groups could deny it files that others may read."""

    uid: int
    gid: int


def postgres_user(data: Path) -> SystemUser | None:
    """Return the user to run Postgres as: None for our own; as root, the data's owner, or a system user.

    Raises:
        StackError: we are root and no suitable user exists.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owned := data.stat()).st_uid != 0:
        return SystemUser(owned.st_uid, owned.st_gid)
    # A concurrent `useradd` of the same name fails, as does a missing one: only the users that exist afterwards count.
    if not _known(_USER):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _USER],  # noqa: S607 (its path depends on the system)
                check=True,
                capture_output=True,
                timeout=30,
            )
    for name in (_USER, _FALLBACK):
        if _known(name):
            entry = pwd.getpwnam(name)
            return SystemUser(entry.pw_uid, entry.pw_gid)
    raise StackError(f"Postgres refuses to run as root, and there is no user to run it as: add one named {_USER}")


def open_way_to(path: Path, user: SystemUser) -> None:
    """Let `user` pass through the directories above `path`, without letting anybody list or read them.

    A directory that grants nothing to its group is given to the user's group; one that grants its group something is
    opened to everybody.
    """
    for parent in path.parents:
        status = parent.stat()
        if _may_pass(status, user):
            continue
        if status.st_mode & stat.S_IRWXG:
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        else:
            os.chown(parent, -1, user.gid)
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXGRP)


def _may_pass(status: os.stat_result, user: SystemUser) -> bool:
    """Whether the user may traverse the directory, as the kernel decides: by the first matching class only."""
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def open_tree(tree: Path) -> None:
    """Let other users read an installed program, in case of a strict umask."""
    for directory, _, files in os.walk(tree):
        _allow(directory, stat.S_IROTH | stat.S_IXOTH)
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118 (two thousand files: building Paths would take longer than the check)
            mode = os.stat(path).st_mode  # noqa: PTH116
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _allow(path: str, bits: int) -> None:
    """Add permissions where they are missing."""
    mode = os.stat(path).st_mode  # noqa: PTH116
    if mode & bits != bits:
        os.chmod(path, mode | bits)  # noqa: PTH101


def _known(name: str) -> bool:
    """Whether the system has this user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
