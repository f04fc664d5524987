"""PostgREST in front of our Postgres, on loopback, and its keys.

Finding its program is in `postgrest_program.py`. It needs the roles, so it starts after the migrations.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, ClassVar

import jwt

from model_registry.devstack.ports import LOOPBACK, require_free
from model_registry.devstack.postgrest_program import postgrest_program
from model_registry.devstack.process import StackProcess

if TYPE_CHECKING:
    from pathlib import Path

_READY_SECONDS = 60
_POOL = 10


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
        require_free(self.port, who=self.name, instead="start it on another one")
        require_free(self.admin_port, who=f"{self.name} (admin)", instead="start it on another one")
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
        self._launch([str(program), "postgrest.conf"], environment={})
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
