"""The embedded stack: Postgres, PostgREST and NATS, started together and stopped together.

What each part is told is in its own file; tables, roles and seeds come in as the callback `prepare`.
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
from model_registry.devstack.postgrest import Postgrest
from model_registry.devstack.postgrest_program import postgrest_program
from model_registry.devstack.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from model_registry.devstack.process import StackProcess
    from model_registry.errors import StackError


class EmbeddedStack:
    """The three servers of one data directory. Not for two threads at once.

    `postgres`, `postgrest` and `nats` are there from `start` on; each can be killed and started again by itself, and
    keeps its address.
    """

    postgres: Postgres
    postgrest: Postgrest
    nats: Nats

    def __init__(  # noqa: PLR0913 (every one is optional but the first two, and named)
        self,
        data_dir: Path,
        *,
        prepare: Callable[[str], object],
        schema: str = "model_registry",
        postgrest_port: int | None = None,
        nats_port: int | None = None,
        durable: bool = True,
        progress: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Describe a stack; nothing is touched before `start`.

        Args:
            data_dir: where everything is kept; made when missing.
            prepare: called with the database's URL (role `postgres`) once it is up, in the thread that called `start`:
                migrations and roles, which PostgREST needs.
            schema: what PostgREST offers.
            postgrest_port: refused when taken; by default the port of the last run if it is free, else any.
            nats_port: as `postgrest_port`.
            durable: False trades safety against power loss for speed, for tests.
            progress: called with one line per part that is ready, one call at a time, perhaps in another thread.
        """
        self._directory = DataDirectory(data_dir)
        self._prepare = prepare
        self._schema = schema
        self._requested = {"postgrest": postgrest_port, "nats": nats_port}
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
        """Start everything and return when it is ready; on failure nothing keeps running.

        What an earlier run left behind is ended first, so it makes no difference how that run ended.

        Raises:
            StackError: the directory is in use, a port is taken, a program is missing or fails; says what to do.
        """
        self._directory.lock()
        try:
            self._describe_parts()
            self._start_parts()
        except BaseException:
            self.stop()
            raise

    def supervise(self, give_up: Callable[[StackError], object]) -> None:
        """From now on start a part again that dies, and say so with `progress`.

        Args:
            give_up: called once, in another thread, when a part cannot be kept running; says why. Then `stop` is due.
        """
        self._supervisor = Supervisor(self._parts, say=self._progress, give_up=give_up)
        self._supervisor.start()

    def stop(self) -> None:
        """Stop everything, those who ask before those who answer, and give the directory back. Twice does no harm."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        for part in self._parts:
            part.stop()
        self._parts = []
        self._directory.unlock()

    def environment(self) -> dict[str, str]:
        """What the service, a client or a command needs to find the parts, as environment variables."""
        return {
            "DATABASE_URL": self.postgres.url(),
            "POSTGREST_URL": self.postgrest.url,
            "POSTGREST_KEY": self.postgrest.service_key,
            "NATS_URL": self.nats.url,
        }

    def secret(self, name: str) -> str:
        """Return a random secret of this stack by name: made at the first call, the same ever after."""
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
        """Say what each part is to be; starts none."""
        home, logs = self.data_dir, self.data_dir / "logs"
        # Strays first: they hold the ports that we want back.
        Postgrest.end_strays(home / "postgrest")
        Nats.end_strays(home / "nats")
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

    def _choose_ports(self) -> dict[str, int]:
        """Take the ports asked for, else those of the last run, else any."""
        remembered = self._directory.ports()
        ports: dict[str, int] = {}
        for name in ("postgrest", "postgrest_admin", "nats"):
            requested = self._requested.get(name)
            if requested is not None:
                require_free(requested, who=name, instead=f"start the stack with another port for {name}")
            ports[name] = requested or choose_port(remembered.get(name), taken=set(ports.values()))
        self._directory.remember_ports(ports)
        return ports

    def _start_parts(self) -> None:
        """Start what does not depend on each other at the same time."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="stack") as pool:
            nats = pool.submit(self._start, self.nats, self.nats.url.rpartition("@")[2])
            program = pool.submit(postgrest_program)
            self._start(self.postgres, str(self.postgres.socket_dir))
            self._prepare(self.postgres.url())
            program.result()
            self._start(self.postgrest, self.postgrest.url)
            nats.result()

    def _start(self, part: StackProcess, address: str) -> None:
        """Start one part and report it."""
        began = time.monotonic()
        part.start()
        with self._progress_lock:
            self._progress(f"{part.name:<9}  {address}  ({time.monotonic() - began:.1f} s)")
