"""The real gateway accepts a whole project as written, and the bundle that the registry makes of it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from model_registry.client.bundle import write_bundle
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.snapshot.snapshot import Snapshot
from support import paths

FIXTURES = paths.FIXTURES / "tensorzero"
NOT_ALONE = {"needs_databases", "routing"}
"""The embedded gateway refuses them for what is not there: databases, and a variable that holds a URL."""


@pytest.mark.parametrize("name", sorted({path.name for path in FIXTURES.iterdir()} - NOT_ALONE))
def test_the_bundle_of_an_imported_project_loads(name: str, tmp_path: Path) -> None:
    plan = plan_import(read_project([FIXTURES / name]), Snapshot.empty(), lambda: str(uuid.uuid4()))
    snapshot = Snapshot.empty().preview(plan.operations)
    write_bundle(bundle(snapshot, render(snapshot)), tmp_path)
    with GatewayProcess() as gateway_process:
        answer = gateway_process.validate(tmp_path / "tensorzero.toml")
    assert answer.accepted, answer.message
