"""`scripts/migrate_tensorzero.py` does what the document of its predecessor says, without a registry that runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from support.paths import FIXTURES, ROOT
from support.processes import surroundings
from support.supabase import supabase_project
from support.waiting import LONGEST

SCRIPT = ROOT / "scripts" / "migrate_tensorzero.py"


def migrate(where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=surroundings(environment),
        cwd=where,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def test_without_arguments_it_fills_the_supabase_project(
    stack: Any, database: psycopg.Connection, tmp_path: Path
) -> None:
    usual = tmp_path / "pmoves/tensorzero/config"
    usual.parent.mkdir(parents=True)
    shutil.copytree(FIXTURES / "tensorzero/agents", usual)
    with supabase_project(stack.environment()["POSTGREST_URL"]) as project:
        key = stack.environment()["POSTGREST_KEY"]
        variables = {"SUPABASE_URL": project.url, "SUPABASE_SERVICE_KEY": key, "MODEL_REGISTRY_CHECK_WITH_GATEWAY": "0"}

        done = migrate(tmp_path, **variables)

    assert done.returncode == 0, done.stderr
    assert "Importing pmoves/tensorzero/config/tensorzero.toml" in done.stderr
    assert project.url in done.stderr
    assert "ran only for the import" in done.stderr
    assert key not in done.stdout + done.stderr
    (models,) = database.execute("select count(*) from models").fetchone() or (0,)
    (mappings,) = database.execute("select count(*) from service_model_mappings").fetchone() or (0,)
    assert (models > 0, mappings > 0) == (True, True)
