"""`model-registry history`, `diff` and `rollback` as processes, against a service process."""

from __future__ import annotations

import re
from typing import Any

from support.processes import Service, run


def catalogue(service: Service) -> None:
    service.post("/api/providers", {"name": "local", "type": "ollama", "api_base": "http://localhost:11434/v1"})
    for name in ("small", "large"):
        service.post("/api/models", {"name": name, "model_id": name, "provider": "local"})
    names = {"service_name": "agent", "function_name": "chat", "variant_name": "best"}
    service.post("/api/mappings", {**names, "model": "small"})


def command(service: Service, *arguments: str) -> Any:
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    return run(*arguments, environment={"MODEL_REGISTRY_URL": service.url, "MODEL_REGISTRY_API_KEY": key})


def test_what_history_shows_is_compared_and_brought_back(service: Service) -> None:
    catalogue(service)
    before = service.config()
    service.patch("/api/mappings/agent/chat/best", {"model": "large"})

    history = command(service, "history", "--limit", "2")
    assert history.returncode == 0, history.stderr
    newest, older, more = history.stdout.splitlines()
    assert re.search(r"environment key  1 mapping changed$", newest)
    assert re.search(r"environment key  1 function added, 1 mapping added$", older)
    now, then = newest.split()[0], older.split()[0]
    assert more == f"More: model-registry history --before {then}"

    rows = command(service, "diff", then, now)
    assert rows.stdout.splitlines()[:2] == [
        "~ mapping agent/chat/best",
        "    model_id: small at local -> large at local",
    ]
    assert "changed by environment key, 20" in rows.stdout
    text = command(service, "diff", then, now, "--format", "text").stdout.splitlines()
    assert [line for line in text[2:] if line[0] in "+-"] == ['-model = "small"', '+model = "large"']
    done = command(service, "rollback", then)
    assert done.returncode == 0, done.stderr
    assert f"Restored the configuration of revision {then}" in done.stdout
    assert service.config() == before
    planned = command(service, "rollback", now, "--dry-run")
    assert "Nothing was written." in planned.stdout
    assert service.config() == before


def test_a_revision_that_is_not_there_is_one_clear_line(service: Service) -> None:
    catalogue(service)

    failed = command(service, "rollback", "999999999")

    assert failed.returncode == 1
    assert failed.stderr.startswith("error: There is no revision 999999999 yet: the newest is ")
    assert failed.stderr.count("\n") == 1
