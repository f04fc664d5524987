"""A stand-in for a Supabase project: a simulated token service in front of the real PostgREST."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from support.waiting import LONGEST

KID = "the project's key"
SECRET = "the project's legacy secret, which only its token service knows"  # noqa: S105 (of this stand-in)


class SupabaseProject:
    """A project's endpoints: `/auth/v1` (public keys, the user of a token), and `/rest/v1`, forwarded."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = generate_private_key(SECP256R1())
        self.away = False
        """Whether the token service fails."""
        self.kid = KID
        self.secret_key: str | None = None
        """The project's newer secret key."""
        self.service_role_token = ""
        """What the project's gateway sends to PostgREST in its place."""
        self.answer: tuple[int, bytes] | None = None
        """What the project's gateway itself answers to every request of PostgREST."""
        self.requests: list[str] = []
        """The requested paths."""

    def forwarded(self, headers: dict[str, str]) -> dict[str, str]:
        """What the gateway sends to PostgREST: a JWT in place of a key that is none."""
        dropped = ("host", "connection", "content-length", "accept-encoding")
        kept = {name.lower(): value for name, value in headers.items() if name.lower() not in dropped}
        if kept["apikey"] == self.secret_key:
            kept["authorization"] = f"Bearer {self.service_role_token}"
        return kept

    def replace_key(self) -> None:
        """Withdraw the signing key: tokens are signed with another from now on."""
        self.key, self.kid = generate_private_key(SECP256R1()), str(uuid.uuid4())

    def token(self, *, key: EllipticCurvePrivateKey | None = None, kid: str | None = None, **claims: Any) -> str:
        """A signed-in user's token, signed with the project's key unless another is given."""
        return jwt.encode(_claims(claims), key or self.key, algorithm="ES256", headers={"kid": kid or self.kid})

    def legacy_token(self, secret: str = SECRET, **claims: Any) -> str:
        """A token as projects without asymmetric keys issue them."""
        return jwt.encode(_claims(claims), secret, algorithm="HS256")

    def public_keys(self) -> dict[str, Any]:
        """The JWKS."""
        key = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def user(self, authorization: str) -> dict[str, Any] | None:
        """The user of a token, like GoTrue: checks signature, expiry and subject."""
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "),
                SECRET,
                ["HS256"],
                options={"verify_aud": False, "require": ["sub"]},
            )
        except jwt.PyJWTError:
            return None
        return {
            "id": claims["sub"],
            "aud": "authenticated",
            "app_metadata": claims.get("app_metadata", {}),
            "user_metadata": {},
            "created_at": "2026-01-01T00:00:00Z",
        }


def _claims(claims: dict[str, Any]) -> dict[str, Any]:
    plain = {"sub": str(uuid.uuid4()), "role": "authenticated", "aud": "authenticated", "exp": int(time.time()) + 3600}
    return {name: value for name, value in {**plain, **claims}.items() if value is not None}


@contextmanager
def supabase_project(postgrest_url: str) -> Iterator[SupabaseProject]:
    """Run a project on any free port of this machine."""
    postgrest = urlsplit(postgrest_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            project.requests.append(path)
            if project.away:
                self._answer(503, b"upstream is gone")
            elif path == "/auth/v1/.well-known/jwks.json":
                self._answer(200, json.dumps(project.public_keys()).encode())
            elif path == "/auth/v1/user":
                user = project.user(self.headers.get("authorization", ""))
                refusal = {"code": 403, "error_code": "bad_jwt", "msg": "invalid JWT"}
                self._answer(200 if user else 403, json.dumps(user or refusal).encode())
            else:
                self._answer(404, b"{}")

        def do_POST(self) -> None:
            """Forward requests to PostgREST like the project's gateway, which also requires the key as `apikey`."""
            project.requests.append(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if not self.path.startswith("/rest/v1/") or not self.headers.get("apikey"):
                self._answer(401, b'{"message":"No API key found in request"}')
                return
            if project.answer is not None:
                self._answer(*project.answer)
                return
            headers = project.forwarded(dict(self.headers.items()))
            with closing(http.client.HTTPConnection(postgrest, timeout=LONGEST)) as connection:
                connection.request("POST", self.path.removeprefix("/rest/v1"), body, headers)
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            self._answer(status, content)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # a client may keep its connection

    with Server(("127.0.0.1", 0), Handler) as server:
        project = SupabaseProject(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="supabase")
        thread.start()
        try:
            yield project
        finally:
            server.shutdown()
            thread.join()
