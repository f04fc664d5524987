"""`model-registry catalog`: import of one file and export of another, as JSON and as YAML, at a separate service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from model_registry.cli import app
from model_registry.errors import InvalidModel
from support.documents import FILE, garden
from support.processes import Service


def catalog(service: Service, *arguments: str) -> str:
    """Run the command in this process: starting a process each time would take most of the time."""
    key = service.client.headers["Authorization"].removeprefix("Bearer ")
    at = {"MODEL_REGISTRY_URL": service.url, "MODEL_REGISTRY_API_KEY": key}
    done = CliRunner().invoke(app, ["catalog", *arguments], env=at)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_catalogue_goes_through_files_of_both_kinds(service: Service, tmp_path: Path) -> None:
    as_json, as_yaml = tmp_path / "models_registry.json", tmp_path / "models.yaml"

    assert "Nothing was written." in catalog(service, "import", str(FILE), "--dry-run")
    assert "created  model unsloth/tinyllama-bnb-4bit" in catalog(service, "import", str(FILE))
    assert f"7 models in {as_json}" in catalog(service, "export", str(as_json))
    catalog(service, "export", str(as_yaml))
    written = json.loads(as_json.read_text("utf-8"))
    assert written["models"] == garden()["models"]
    assert yaml.safe_load(as_yaml.read_text("utf-8"))["models"] == written["models"]
    for file in (as_json, as_yaml):
        assert "0 created, 0 changed" in catalog(service, "import", str(file))


def test_a_broken_file_is_refused_with_its_places(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("version: 1.0.0\nmodels: {a: {id: a, name: A, provider: p, status: new, capabilities: {}}}\n")
    with pytest.raises(InvalidModel) as refused:
        catalog(service, "import", str(file))
    assert [reason.where for reason in refused.value.reasons] == ["models.a.status"]

    file.write_text("a: [")
    with pytest.raises(InvalidModel, match="not a valid YAML"):
        catalog(service, "import", str(file))
