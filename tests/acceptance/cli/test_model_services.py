"""`model-registry model-services`: register, look, drain, switch the version, and delete, at a separate service."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from model_registry.cli import app
from model_registry.errors import NotFound, UnsafeAddress
from support.processes import Service


def model_services(service: Service, *arguments: str) -> str:
    """Return what the command prints to standard output."""
    return run(service, *arguments).stdout


def run(service: Service, *arguments: str) -> Result:
    """Run the command in this process: starting a process each time would take most of the time."""
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    at = {"MODEL_REGISTRY_URL": service.url, "MODEL_REGISTRY_API_KEY": key, "NO_COLOR": "1"}
    done = CliRunner().invoke(app, ["model-services", *arguments], env=at)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_an_instance_comes_is_changed_and_goes(service: Service) -> None:
    url = "http://127.0.0.1:9"
    made = model_services(
        service,
        *("register", "lstm-1", url, "--type", "LSTM", "--capability", "prediction", "--capability", "training"),
        *("--ttl", "3600", "--no-health-check", "--label", "zone=cellar"),
    )
    assert made.startswith(f"healthy       lstm-1  LSTM  {url}  0 in flight"), made

    model_services(service, "set", "lstm-1", "--weight", "3", "--model-version", "v1", "--timeout", "60")
    found = json.loads(model_services(service, "get", "lstm-1"))
    kept = {"weight": 3, "version": "v1", "timeout": 60, "labels": {"zone": "cellar"}, "ttl_seconds": 3600}
    assert found.items() >= kept.items()
    assert "v1" in model_services(service, "renew", "lstm-1")
    assert "(new disk; no request is running" in model_services(service, "drain", "lstm-1", "--reason", "new disk")
    assert "lstm-1" in model_services(service, "list", "--type", "lstm", "--state", "draining")
    assert [i["state"] for i in json.loads(model_services(service, "list", "--json"))] == ["draining"]
    assert model_services(service, "activate", "lstm-1").startswith("healthy")
    assert model_services(service, "retire", "lstm-1").startswith("retired")
    assert model_services(service, "switch", "LSTM", "v1") == "LSTM: v1\n"
    assert model_services(service, "switch", "LSTM", "--weight", "v1=9", "--weight", "v2=1") == "LSTM: v1 9, v2 1\n"
    assert model_services(service, "rm", "lstm-1") == "deleted lstm-1\n"
    assert model_services(service, "list") == "No instances.\n"
    assert model_services(service, "list", "--state", "offline") == "No instance is offline.\n"


def test_a_switch_to_a_version_that_is_not_there_warns_and_a_flow_is_registered(service: Service) -> None:
    at = ("register", "gru-1", "http://127.0.0.1:9", "--type", "GRU", "--capability", "training", "--no-health-check")
    model_services(service, *at, "--prepared", "--model-version", "v1")
    assert json.loads(model_services(service, "get", "gru-1"))["training_flow"] == "prepared"
    assert run(service, "switch", "GRU", "v1").stderr == ""
    assert run(service, "switch", "GRU", "v2").stderr == "warning  no instance has v2; known: v1\n"
    assert run(service, "switch", "GRU", "latest").stderr == ""
    model_services(service, "rm", "gru-1")


def test_refusals_are_the_registrys_own(service: Service) -> None:
    with pytest.raises(NotFound):
        model_services(service, "get", "nobody")
    with pytest.raises(UnsafeAddress):
        model_services(service, "register", "a", "http://169.254.169.254", "--type", "A", "--capability", "prediction")
