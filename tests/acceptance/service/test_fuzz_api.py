"""The whole API is fuzzed from its own description: no request makes it fail or respond outside of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from model_registry.store import migrations
from support.paths import TESTS
from support.processes import Service
from support.waiting import LONGEST

pytestmark = pytest.mark.long

EXAMPLES = 1
"""Drawn requests per operation and kind, beside some 2,300 that cover every value the documentation names."""

ASKS_OTHERS = """
[[operations]]
include-path-regex = "^/(predict|forecast|train|v1/|api/sources/.*/refresh)"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]

[[operations]]
include-path = "/dispatch/{model_type}/{capability}/{path}"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]
checks.unsupported_method.enabled = false
"""
"""Where the registry asks others, it must be able to say that they failed: documented, and never 500. And what is
passed on as it came may have any method, which no documentation can say."""

NOT_PROMISED = "positive_data_acceptance,negative_data_rejection,allow_header_conformance"
"""What the documentation allows may refer to nothing, or be what the gateway refuses. "6144" is taken for 6144, because
existing clients send it. And `/api/deployments/{reference}` takes every path below it, so that more methods are allowed
there than one entry of the documentation says: what `Allow` must hold has a test of its own."""


def test_no_request_makes_it_fail_or_answer_outside_its_documentation(
    service: Service, database_url: str, tmp_path: Path
) -> None:
    migrations.seed(database_url, "model_registry")
    # Made for whoever asks first, and schemathesis waits no longer than 10 s.
    paths = service.client.get("/openapi.json").json()["paths"]
    arguments = [
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES), "--seed", "1"),
        *("--exclude-checks", NOT_PROMISED, "--continue-on-failure", "--generation-database", "none", "--no-color"),
        *("--header", f"Authorization: {service.client.headers['Authorization']}", "--warnings", "off"),
    ]
    tests = str(TESTS)
    (tmp_path / "schemathesis.toml").write_text(ASKS_OTHERS, "utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.url}/openapi.json", *arguments],
        env={**os.environ, "PYTHONPATH": tests, "SCHEMATHESIS_HOOKS": "support.fuzz_hooks"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=9 * LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    operations = sum(len(methods) for methods in paths.values())
    assert f"{operations} selected / {operations} total" in done.stdout
    assert "unexpected error" not in service.program.said


def test_the_seeds_have_what_the_fuzzing_refers_to(service: Service, database: psycopg.Connection) -> None:
    """Otherwise it would mostly get 404s, and prove little."""
    from support.fuzz_hooks import ROWS  # noqa: PLC0415 (it registers its hooks)

    migrations.seed(str(database.info.dsn), "model_registry")
    for plural, references in ROWS.items():
        for reference in references:
            response = service.client.get(f"/api/{plural}/{reference}", headers={"Cache-Control": "no-cache"})
            assert (response.status_code == 200) == (plural != "deployments"), (plural, reference)


@pytest.mark.parametrize("path", ["/api/models", "/api/tensorzero/config", "/healthz", "/api/models/nobody"])
def test_head_answers_what_get_does_without_the_body(service: Service, path: str) -> None:
    for _ in range(2):  # the second answer comes from the cache
        head, get = service.client.head(path), service.client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers.get("ETag") == get.headers.get("ETag")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/api/models", "GET, HEAD, POST"),
        ("POST", "/api/models/a/b", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", "/api/models/a/b/deployments", "GET, HEAD"),
        ("POST", "/api/models/a/b/deployments", "GET, HEAD"),
        ("PUT", "/api/sources/a/b/refresh", "POST"),
        ("DELETE", "/healthz", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_answered_with_those_it_does(
    service: Service, method: str, path: str, allowed: str
) -> None:
    response = service.client.request(method, path)
    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert response.headers["Content-Type"] == "application/problem+json"
