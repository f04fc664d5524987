"""MODEL_REGISTRY_SERVICES_FILE: what it has is registered at start, what it had is gone, faults have places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model_registry.errors import Invalid, SourceUnreadable
from support.replica import Replica, running_replica
from support.waiting import until

DOCUMENTED = {
    "lstm": {
        "service_url": "http://lstm:8001",
        "model_type": "LSTM",
        "capabilities": ["training", "prediction"],
        "max_concurrent_requests": 5,
        "timeout": 30,
    },
    "gru": {
        "service_url": "http://gru:8002",
        "model_type": "GRU",
        "capabilities": ["prediction"],
        "max_concurrent_requests": 3,
        "timeout": 60,
    },
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "services.json"


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


async def instances(replica: Replica, *names: str) -> dict[str, dict[str, Any]]:
    async def look() -> dict[str, dict[str, Any]] | None:
        items = (await replica.client.get("/services")).json()["items"]
        found = {item["service_id"]: item for item in items}
        return found if set(found) == set(names) else None

    found = await until(look)
    assert found is not None
    return found


async def test_it_is_registered_at_start_and_what_it_no_longer_has_is_gone(
    environment: dict[str, Any], file: Path
) -> None:
    environment |= {"MODEL_REGISTRY_SERVICES_FILE": str(file)}
    write(file, {"services": DOCUMENTED})
    async with running_replica(environment) as replica:
        found = await instances(replica, "lstm", "gru")
        assert found["lstm"].items() >= DOCUMENTED["lstm"].items()
        assert {item["registered_over"] for item in found.values()} == {"file"}
        by_hand = {**DOCUMENTED["gru"], "service_id": "by-hand"}
        assert (await replica.client.post("/services/register", json=by_hand)).status_code == 201

    without_limit = {key: value for key, value in DOCUMENTED["lstm"].items() if key != "max_concurrent_requests"}
    write(file, {"services": {"lstm": without_limit}})
    async with running_replica(environment) as replica:
        found = await instances(replica, "lstm", "by-hand")
        assert found["lstm"]["max_concurrent_requests"] is None

    async with running_replica({**environment, "MODEL_REGISTRY_SERVICES_FILE": None}) as replica:
        await instances(replica, "lstm", "by-hand")


async def test_one_that_is_refused_does_not_keep_the_others_out(environment: dict[str, Any], file: Path) -> None:
    unsafe = {**DOCUMENTED["gru"], "service_url": "http://169.254.169.254"}
    write(file, {"services": {"unsafe": unsafe, **DOCUMENTED}})

    async with running_replica({**environment, "MODEL_REGISTRY_SERVICES_FILE": str(file)}) as replica:
        await instances(replica, "lstm", "gru")


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ({}, ["services"]),
        ([], ["services"]),
        ({"services": {"a": 1}}, ["services.a"]),
        ({"services": {"a b": DOCUMENTED["gru"]}}, ["services.a b"]),
        ({"services": {"a": {**DOCUMENTED["gru"], "capabilities": []}}}, ["services.a.capabilities"]),
        ({"services": {"a": {**DOCUMENTED["gru"], "tiemout": 1}}}, ["services.a.tiemout"]),
        ({"services": {"a": {"service_url": "http://a"}}}, ["services.a.model_type", "services.a.capabilities"]),
        ({"services": {}, "service": {}}, ["service"]),
    ],
)
async def test_a_fault_is_named_with_its_place(
    environment: dict[str, Any], file: Path, content: Any, places: list[str]
) -> None:
    write(file, content)

    with pytest.raises(Invalid) as refused:
        async with running_replica({**environment, "MODEL_REGISTRY_SERVICES_FILE": str(file)}):
            pass

    assert str(file) in refused.value.message
    assert sorted(reason.where for reason in refused.value.reasons) == sorted(places)


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_file_that_cannot_be_read_is_named(
    environment: dict[str, Any], tmp_path: Path, *, is_there: bool
) -> None:
    path = tmp_path if is_there else tmp_path / "missing.json"

    with pytest.raises(SourceUnreadable, match=str(path)):
        async with running_replica({**environment, "MODEL_REGISTRY_SERVICES_FILE": str(path)}):
            pass
