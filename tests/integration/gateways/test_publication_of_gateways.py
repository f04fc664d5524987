"""What a write that waits answers of each gateway that it concerns."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.gateways.kind import Files
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.gateways.tensorzero.validation.validate import CRASHED, ValidationResult
from support.catalogue import add, add_model, add_provider
from support.replica import Replica


@pytest.fixture
async def several(replica: Replica) -> Replica:
    """Providers `near` and `far`, a gateway that carries each, and one that is pinned."""
    for name in ("near", "far"):
        await add_provider(replica.client, name)
        await add(replica.client, "gateways", name=f"{name}-gateway", kind="tensorzero", providers=[name])
    pinned = replica.state.registry.snapshot.revision
    await add(replica.client, "gateways", name="held", kind="tensorzero", pinned_revision=pinned)
    return replica


async def waiting(replica: Replica, method: str, path: str, body: Any) -> Any:
    response = await replica.client.request(method, path, json=body, params={"wait": 20})
    assert response.status_code in {200, 201}, response.text
    return response.json()["publication"]


async def test_a_write_names_the_gateways_that_get_it(several: Replica) -> None:
    model = {"model_id": "m", "name": "m", "provider": "near"}
    found = await waiting(several, "POST", "/api/models", model)

    assert found["state"] == "published"
    assert found["gateways"] == {"tensorzero": "published", "near-gateway": "published"}
    assert "models.m]" in (await several.client.get("/api/gateways/near-gateway/config")).text


async def test_what_one_gateway_is_to_have_concerns_no_other(several: Replica) -> None:
    found = await waiting(several, "PATCH", "/api/gateways/held", {"pinned_revision": None})

    assert found["gateways"] == {"held": "published"}


async def test_a_gateway_that_refuses_it_is_named_beside_one_that_gets_it(
    several: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = TensorZeroChecker.check

    async def refuse(checker: TensorZeroChecker, files: Files, **how: Any) -> ValidationResult:
        everything = b"at-far" in files["tensorzero.toml"]
        return await check(checker, files, **how) if everything else ValidationResult((CRASHED,))

    await add_model(several.client, "at-far", "far")
    monkeypatch.setattr(TensorZeroChecker, "check", refuse)
    found = await waiting(several, "POST", "/api/models", {"model_id": "m", "name": "m", "provider": "near"})

    assert found["state"] == "published"
    assert found["gateways"] == {"tensorzero": "published", "near-gateway": "refused"}
