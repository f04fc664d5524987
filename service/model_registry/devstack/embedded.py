"""The embedded stack: starts and stops Postgres, PostgREST and NATS together, and SMG where it is wanted.

Each server's settings are in its own file; tables, roles and seeds come from the callback `prepare`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Self

from model_registry.devstack.directory import DataDirectory
from model_registry.devstack.nats import Nats
from model_registry.devstack.ports import choose_port, require_free
from model_registry.devstack.postgres import Postgres
from model_registry.devstack.postgrest import Postgrest, postgrest_program
from model_registry.devstack.smg import Smg, smg_program
from model_registry.devstack.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from model_registry.devstack.process import StackProcess
    from model_registry.errors import StackError


class EmbeddedStack:
    """The servers of one data directory. Not thread-safe.

    `postgres`, `postgrest`, `nats` and, where it is wanted, `smg` exist from `start` on; each can be killed and
    restarted alone, and keeps its address.
    """

    postgres: Postgres
    postgrest: Postgrest
    nats: Nats
    smg: Smg | None = None

    def __init__(  # noqa: PLR0913 (every one is optional but the first two, and named)
        self,
        data_dir: Path,
        *,
        prepare: Callable[[str], object],
        schema: str = "model_registry",
        postgrest_port: int | None = None,
        nats_port: int | None = None,
        smg: bool = False,
        durable: bool = True,
        progress: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Configure a stack; nothing happens before `start`.

        Args:
            data_dir: holds all data; created when missing.
            prepare: called with the database's URL (role `postgres`) once it is up, in the thread that called `start`:
                migrations and roles, which PostgREST needs.
            schema: the schema that PostgREST exposes.
            postgrest_port: an error when taken; by default the last run's port if free, else any.
            nats_port: as `postgrest_port`.
            smg: whether SMG is one of the servers.
            durable: False trades safety against power loss for speed, for tests.
            progress: called with one line per server once it is ready; one call at a time, maybe in another thread.
        """
        self._directory = DataDirectory(data_dir)
        self._prepare = prepare
        self._schema = schema
        self._requested = {"postgrest": postgrest_port, "nats": nats_port}
        self._with_smg = smg
        self._durable = durable
        self._progress = progress
        self._progress_lock = Lock()
        self._parts: list[StackProcess] = []
        self._supervisor: Supervisor | None = None

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return self._directory.path

    def start(self) -> None:
        """Start all servers and return when they are ready; on failure stop them all.

        First end processes left by an earlier run, so a killed run does no harm.

        Raises:
            StackError: the directory is in use, a port is taken, a program is missing or fails; says what to do.
        """
        if self._with_smg:
            smg_program()  # missing: reported before anything starts
        self._directory.lock()
        try:
            self._describe_parts()
            self._start_parts()
        except BaseException:
            self.stop()
            raise

    def supervise(self, give_up: Callable[[StackError], object]) -> None:
        """Restart any server that dies from now on, and report that through `progress`.

        Args:
            give_up: called once with the reason, in another thread, when a server keeps failing; then call `stop`.
        """
        self._supervisor = Supervisor(self._parts, progress=self._progress, give_up=give_up)
        self._supervisor.start()

    def stop(self) -> None:
        """Stop all servers, clients before the servers they use, and unlock the directory. Idempotent."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        for part in self._parts:
            part.stop()
        self._parts = []
        self._directory.unlock()

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which the service, a client or a command finds the servers."""
        return {
            "DATABASE_URL": self.postgres.url(),
            "POSTGREST_URL": self.postgrest.url,
            "POSTGREST_KEY": self.postgrest.service_key,
            "NATS_URL": self.nats.url,
        }

    def secret(self, name: str) -> str:
        """Return the random secret of this name, created on the first call and kept."""
        return self._directory.secret(name)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _describe_parts(self) -> None:
        """Configure the servers without starting them."""
        home, logs = self.data_dir, self.data_dir / "logs"
        # Strays first: they occupy the ports to reuse.
        Postgrest.end_strays(home / "postgrest")
        Nats.end_strays(home / "nats")
        Smg.end_strays(home / "smg")
        ports = self._choose_ports()
        self.postgres = Postgres(home / "postgres", logs / "postgres.log", durable=self._durable)
        self.nats = Nats(
            home / "nats", logs / "nats.log", port=ports["nats"], token=self._directory.secret("nats_token")
        )
        self.postgrest = Postgrest(
            home / "postgrest",
            logs / "postgrest.log",
            port=ports["postgrest"],
            admin_port=ports["postgrest_admin"],
            database_url=self.postgres.url("authenticator"),
            schema=self._schema,
            jwt_secret=self._directory.secret("postgrest_jwt"),
        )
        self._parts = [self.postgrest, self.nats, self.postgres]
        if self._with_smg:
            self.smg = Smg(home / "smg", logs / "smg.log", port=ports["smg"], metrics_port=ports["smg_metrics"])
            self._parts.insert(0, self.smg)

    def _choose_ports(self) -> dict[str, int]:
        """Choose the requested ports, else those of the last run, else any."""
        remembered = self._directory.ports()
        ports: dict[str, int] = {}
        for name in ("postgrest", "postgrest_admin", "nats", *(("smg", "smg_metrics") if self._with_smg else ())):
            requested = self._requested.get(name)
            if requested is not None:
                require_free(requested, who=name, instead=f"choose another port for {name}")
            ports[name] = requested or choose_port(remembered.get(name), taken=set(ports.values()))
        self._directory.remember_ports(remembered | ports)
        return ports

    def _start_parts(self) -> None:
        """Start independent servers concurrently."""
        with ThreadPoolExecutor(max_workers=3, thread_name_prefix="stack") as pool:
            smg = pool.submit(self._start, self.smg, self.smg.url) if self.smg else None
            nats = pool.submit(self._start, self.nats, self.nats.url.rpartition("@")[2])
            program = pool.submit(postgrest_program)
            self._start(self.postgres, str(self.postgres.socket_dir))
            self._prepare(self.postgres.url())
            program.result()
            self._start(self.postgrest, self.postgrest.url)
            nats.result()
            if smg is not None:
                smg.result()

    def _start(self, part: StackProcess, address: str) -> None:
        """Start one server and report it."""
        began = time.monotonic()
        part.start()
        with self._progress_lock:
            self._progress(f"{part.name:<9}  {address}  ({time.monotonic() - began:.1f} s)")
