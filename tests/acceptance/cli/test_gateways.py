"""`model-registry gateways`: made, looked at, promoted and deleted, at a separate service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model_registry.cli import app
from model_registry.errors import Conflict, NotFound
from support.processes import Service


def gateways(service: Service, *arguments: str, code: int = 0) -> Result:
    """Run the command in this process."""
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    at = {"MODEL_REGISTRY_URL": service.url, "MODEL_REGISTRY_API_KEY": key, "NO_COLOR": "1"}
    done = CliRunner().invoke(app, ["gateways", *arguments], env=at)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def test_a_gateway_is_made_pinned_promoted_and_deleted(service: Service, tmp_path: Path) -> None:
    provider = {"name": "local", "type": "ollama", "api_base": "http://localhost:11434/v1"}
    assert service.client.post("/api/providers", json=provider).status_code == 201
    made = gateways(
        service, "add", "prod", "--kind", "tensorzero", "--provider", "local", "--setting", "publish=strict"
    )
    assert made.stdout.startswith("prod")
    assert "providers local" in made.stdout
    newest = service.client.get("/api/gateways/prod/status").json()["newest_revision"]
    gateways(service, "promote", "prod", str(newest), "--reason", "first")
    model = {"name": "m", "model_id": "m", "provider": "local"}
    assert service.client.post("/api/models", json=model).status_code == 201

    assert "[models.m]" not in gateways(service, "config", "prod").stdout
    assert "+[models.m]" in gateways(service, "diff", "prod", "served", "latest", "--format", "text").stdout
    assert "+ model m at local" in gateways(service, "diff", "prod").stdout
    dry = gateways(service, "promote", "prod", "--from", "tensorzero", "--dry-run")
    assert "+ model m at local" in dry.stdout
    assert "Nothing was written." in dry.stdout
    moved = gateways(service, "promote", "prod", "--from", "tensorzero", "--reason", "tested")
    assert "of tensorzero" in moved.stdout
    assert "[models.m]" in gateways(service, "config", "prod").stdout
    gateways(service, "export", "prod", str(tmp_path))
    assert "[models.m]" in (tmp_path / "tensorzero.toml").read_text("utf-8")
    assert "follows revision" in gateways(service, "status", "prod").stdout
    lines = gateways(service, "history", "prod").stdout.splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == ["(tested)", "(first)"]
    gateways(service, "promote", "prod", "newest")
    assert "the newest" in gateways(service, "list").stdout.split("prod", 1)[1]
    row = json.loads(gateways(service, "get", "prod").stdout)
    assert row["settings"]["publish"] == "strict"
    settings = ("--setting", "missing_variable=refuse", "--setting", "has=postgres")
    gateways(service, "set", "prod", *settings, "--everything", "--description", "for all")
    row = json.loads(gateways(service, "get", "prod").stdout)
    assert (row["providers"], row["settings"]["publish"]) == (None, "strict")
    assert (row["settings"]["has"], row["description"]) == (["postgres"], "for all")
    assert gateways(service, "rm", "prod").stdout == "deleted prod\n"
    with pytest.raises(NotFound):
        gateways(service, "status", "prod")


def test_what_waits_for_others_is_shown_and_withdrawn(service: Service) -> None:
    newest = service.client.get("/api/tensorzero/status").json()["newest_revision"]
    gateways(service, "add", "held", "--kind", "tensorzero", "--pin", str(newest), "--setting", "approval=1")
    assert "1 more must approve it" in gateways(service, "promote", "held", "latest").stdout
    assert "Pending: " in gateways(service, "status", "held").stdout
    assert "waits for approvals" in gateways(service, "list").stdout
    assert gateways(service, "withdraw", "held").stdout == "held: withdrawn\n"
    with pytest.raises(Conflict, match="approvals"):
        gateways(service, "rm", "held")
