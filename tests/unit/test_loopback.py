"""Proxies of the environment are used for other machines only: one rule for all HTTP requests."""

from __future__ import annotations

import ast

import httpx2
import pytest

from model_registry.loopback import is_loopback
from model_registry.store.http11_transport import reachable
from support.paths import ROOT

SERVICE = ROOT / "service" / "model_registry"
CLIENTS = {
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx.get",
    "httpx.post",
    "httpx.request",
    "httpx.stream",
    "ExactClient",
}
OURS = [
    "http://127.0.0.1:8110",
    "http://localhost",
    "http://LOCALHOST:1/x",
    "http://[::1]:8110",
    "http://127.1.2.3",
    "http://[::]:1",
]
OTHERS = ["http://registry:8110", "https://10.0.0.1", "http://localhost.example", "http://[::2]", "http://[", "", "lab"]


@pytest.mark.parametrize("url", OURS)
def test_addresses_of_this_machine_alone(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", OTHERS)
def test_addresses_that_may_be_anywhere(url: str) -> None:
    assert not is_loopback(url)


def test_every_http_client_follows_the_rule() -> None:
    calls = {
        f"{file.relative_to(SERVICE)}:{call.lineno} {ast.unparse(call.func)}": {
            str(keyword.arg) for keyword in call.keywords
        }
        for file in SERVICE.rglob("*.py")
        if "httpx" in file.read_text()
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in CLIENTS
    }

    assert len(calls) > 5
    assert [where for where, given in calls.items() if not {"trust_env", "transport"} & given] == []


def test_the_way_to_postgrest_follows_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert reachable(httpx2.URL("http://127.0.0.1:3000"))
    assert not reachable(httpx2.URL("http://postgrest:3000"))
