"""The disk fills up under a running service: it continues, and its files stay intact."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil
import pytest

from support.processes import Service, StartService, wait_until

TEXT = "x" * 60_000
"""In a row's metadata: makes the files of the service larger than the limit, and its log stays smaller."""
LIMIT = 30_000


def providers(cache: Path) -> set[str]:
    """What the service would start from without a database."""
    tables = json.loads((cache / "snapshot.json").read_bytes())["tables"]
    return {row["name"] for row in tables["model_providers"]}


def add(service: Service, name: str) -> None:
    service.post("/api/providers", {"name": name, "type": "openai", "metadata": {"text": TEXT}})


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process can be set on Linux only")
def test_a_full_disk_is_said_once_and_nothing_stops_or_is_lost(start_service: StartService, tmp_path: Path) -> None:
    service, cache = start_service(), tmp_path / "cache"
    add(service, "before")
    wait_until(lambda: (cache / "snapshot.json").exists() and "before" in providers(cache))
    wait_until((cache / "accepted.json").exists)
    process = psutil.Process(service.program.pid)
    _, most = process.rlimit(psutil.RLIMIT_FSIZE)

    process.rlimit(psutil.RLIMIT_FSIZE, (LIMIT, most))
    add(service, "meanwhile")
    service.program.wait_for("could not be saved")
    add(service, "meanwhile too")  # one more reason to try

    names = {row["name"] for row in service.client.get("/api/providers").json()["items"]}
    assert names == {"before", "meanwhile", "meanwhile too"}
    assert service.client.get("/readyz").json()["status"] == "ready"
    assert providers(cache) == {"before"}
    wait_until(lambda: {path.name for path in cache.iterdir()} == {"snapshot.json", "accepted.json"})

    process.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    wait_until(lambda: providers(cache) == names)
    said = [line for line in service.program.said.splitlines() if '"what": "the snapshot"' in line]
    assert [json.loads(line)["event"] for line in said] == ["could not be saved; the last file is kept", "saved again"]
    assert "Traceback" not in service.program.said
