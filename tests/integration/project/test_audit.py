"""`make audit` reports "no known vulnerabilities" only if a service with data was queried."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.paths import ROOT


class Osv(BaseHTTPRequestHandler):
    """A vulnerability service with data about one release of Jinja, and about the packages that a test adds."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = asked["package"]["name"]
        known = getattr(self.server, "known", {})
        found = [{"id": known[package], "affected": [], "aliases": []}] if package in known else []
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Service(ThreadingHTTPServer):
    """Where it listens, and what it knows."""

    known: dict[str, str]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Osv) as server:
        server.known = {}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(lock: Path, port: int) -> subprocess.CompletedProcess[str]:
    lock.write_text("anyio==4.16.0\nhttpx==0.28.1\n")
    options = ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query"]
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "audit.py", "--lock", lock, "--", *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_what_is_known_is_found_and_the_rest_is_clean(service: Service, tmp_path: Path) -> None:
    service.known = {"jinja2": "PYSEC-2019-217"}
    clean = audit(tmp_path / "a.lock", service.server_port)
    assert (clean.returncode, clean.stdout) == (0, "a.lock: no known vulnerabilities\n"), clean.stderr

    service.known["httpx"] = "GHSA-made-up"
    found = audit(tmp_path / "a.lock", service.server_port)
    assert (found.returncode, found.stdout) == (1, "a.lock: httpx 0.28.1: GHSA-made-up (fixed in no release yet)\n")


def test_a_service_that_knows_nothing_is_not_believed(service: Service, tmp_path: Path) -> None:
    done = audit(tmp_path / "a.lock", service.server_port)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("NOT AUDITED: the service does not know that jinja2==2.10 is vulnerable.")


def test_a_service_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    done = audit(tmp_path / "a.lock", 9)  # discard: nobody listens there
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("NOT AUDITED: ")
    assert "Connection refused" in done.stderr
