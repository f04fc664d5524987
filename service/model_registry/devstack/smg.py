"""SMG from the wheel `smg`, on loopback, as it has to be started to follow a fleet: workers from a file, quick probes.

Who writes the file, and what is in it, is not known here.
"""

from __future__ import annotations

import http.client
import shutil
import sysconfig
from pathlib import Path
from typing import ClassVar

from model_registry.devstack.ports import LOOPBACK, require_free
from model_registry.devstack.process import StackProcess
from model_registry.errors import StackError

_READY_SECONDS = 30
_NO_WORKERS = '{"version": 1, "workers": []}\n'

FOLLOWING = (
    *("--enable-igw", "--discovery-provider", "file", "--discovery-check-interval-secs", "1"),
    # A worker that refuses two probes, or does not answer them within a second, is out; one that it answers brings it
    # back. Three failed requests do the same before a probe is due. A failed request goes to another worker meanwhile.
    *("--health-check-interval-secs", "1", "--health-check-timeout-secs", "1"),
    *("--health-failure-threshold", "2", "--health-success-threshold", "1"),
    *("--cb-failure-threshold", "3", "--cb-success-threshold", "1", "--cb-timeout-duration-secs", "2"),
    # Only the list removes workers: SMG would ask one that it removed itself again after longer and longer pauses.
    "--no-remove-unhealthy-workers",
    *("--policy", "round_robin", "--history-backend", "none", "--log-level", "warn"),
    *("--shutdown-grace-period-secs", "5"),
)
"""Options with which a new worker serves within a second, and a dead one gets nothing after two; measured with 1.13."""


class Smg(StackProcess):
    """The gateway before our own nodes."""

    name: ClassVar[str] = "SMG"
    programs: ClassVar[frozenset[str]] = frozenset({"smg", "smg::router"})

    def __init__(self, home: Path, log: Path, *, port: int, metrics_port: int) -> None:
        super().__init__(home, log)
        self.port = port
        self.metrics_port = metrics_port

    @property
    def url(self) -> str:
        """The base URL of OpenAI's protocol."""
        return f"http://{LOOPBACK}:{self.port}/v1"

    @property
    def manifest(self) -> Path:
        """The file with its workers, which the last run's stay in until somebody replaces it."""
        return self.home / "workers.json"

    def start(self) -> None:
        """Start it and wait until it answers."""
        if self.pid is not None:
            return
        program = smg_program()
        self.end_strays(self.home)
        require_free(self.port, who=self.name, instead="choose another port")
        require_free(self.metrics_port, who=f"{self.name} (metrics)", instead="choose another port")
        if not self.manifest.exists():
            self._write_settings(self.manifest.name, _NO_WORKERS)
        here = ["--host", LOOPBACK, "--port", str(self.port)]
        here += ["--prometheus-host", LOOPBACK, "--prometheus-port", str(self.metrics_port)]
        self._launch([program, "launch", *here, "--discovery-file", str(self.manifest), *FOLLOWING])
        self._wait_until(self._is_ready, seconds=_READY_SECONDS)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2)
        try:
            connection.request("GET", "/liveness")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def smg_program() -> str:
    """Return the program, which the wheel installs beside Python.

    Raises:
        StackError: it is not installed.
    """
    program = shutil.which("smg", path=sysconfig.get_path("scripts")) or shutil.which("smg")
    if program is None:
        raise StackError("SMG is not installed: pip install 'pmoves-model-registry[smg]'")
    return str(Path(program).absolute())
