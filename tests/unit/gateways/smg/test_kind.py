"""SMG as a kind: what a refusal points to, and what a gateway's scope leaves of the workers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from model_registry.entities.gateway import Gateway
from model_registry.errors import Reason
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.publishing.exclusions import DEPLOYMENTS, Part
from model_registry.gateways.scope import Scopes
from model_registry.gateways.smg.kind import SmgChecker
from model_registry.gateways.smg.render import MAIN_FILE, SmgRenderer
from support.catalogues import Catalogue
from support.smg_lists import text_of

SMG = KINDS["smg"]


def two_nodes() -> tuple[Catalogue, list[str]]:
    """Two providers with a model each, on two nodes of two zones."""
    catalogue = Catalogue()
    rows = []
    for name in ("a", "b/c"):
        model = catalogue.model(catalogue.provider(name, "vllm", api_base=f"http://{name[0]}/v1"), name, model_id=name)
        catalogue.node(name, labels={"zone": name})
        said = {"provider_type": "vllm", "announced_model": name, "endpoint": f"http://{name[0]}:1"}
        rows.append(catalogue.deployment(model, name, **said))
    return catalogue, rows


def models_of(catalogue: Catalogue, **scope: Any) -> list[str]:
    gateway = Gateway(id="g", name="edge", kind="smg", **scope)
    rendered = SmgRenderer().render(Scopes().of(catalogue.snapshot(), gateway), gateway)
    return [worker["model_id"] for worker in json.loads(rendered.files[MAIN_FILE])["workers"]]


def test_a_gateway_has_the_nodes_with_its_labels_and_the_models_of_its_providers() -> None:
    catalogue, _ = two_nodes()
    assert models_of(catalogue) == ["a", "b/c"]
    assert models_of(catalogue, labels={"zone": "b/c"}) == ["b/c"]
    assert models_of(catalogue, providers=["a"]) == ["a"]
    assert models_of(catalogue, providers=[]) == []


def test_a_refusal_points_to_the_deployment_whose_worker_it_names() -> None:
    catalogue, rows = two_nodes()
    suspects = SMG.make_suspects(lambda: None)
    snapshot = catalogue.snapshot()

    (named,) = suspects.named(snapshot, [Reason("b%2Fc/vllm/b%2Fc/other", "no")])

    assert (named.part, named.certain) == (Part(DEPLOYMENTS, rows[1]), True)
    assert set(suspects.parts(snapshot)) == {Part(DEPLOYMENTS, row) for row in rows}


def test_the_rules_alone_decide_and_say_so() -> None:
    checker = SmgChecker()
    worker = {"id": "n/ollama/m", "url": "http://n:1", "model_id": "m"}
    accepted = asyncio.run(checker.check({MAIN_FILE: text_of([worker])}, loader=True))
    refused = asyncio.run(checker.check({MAIN_FILE: text_of([worker, worker])}, loader=True))

    assert checker.loader is None
    assert (accepted.accepted, accepted.by_loader, len(accepted.warnings)) == (True, False, 1)
    assert (refused.accepted, [reason.where for reason in refused.reasons]) == (False, ["n/ollama/m"] * 2)
