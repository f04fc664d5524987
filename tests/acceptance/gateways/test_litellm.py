"""LiteLLM itself in a separate process: its whole price map is imported, and its own loader accepts the export."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from model_registry.cli.knowledge_import import ImportOptions, import_body
from model_registry.entities.gateway import Gateway
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.imports.sources.fetch import price_map_of_wheel, read_json
from model_registry.imports.sources.litellm_prices import read_prices
from support.catalogues import Catalogue
from support.processes import surroundings
from support.replica import Replica
from support.waiting import LONGEST

_LOADER = """
import json, os, sys
import yaml
import litellm

with open(sys.argv[1]) as file:
    models = yaml.safe_load(file)["model_list"]
for model in models:
    key = model["litellm_params"].get("api_key", "")
    if key.startswith("os.environ/"):
        os.environ[key.removeprefix("os.environ/")] = "dummy"
router = litellm.Router(model_list=models, ignore_invalid_deployments=False)
loaded = []
for deployment in router.get_model_list():
    params = deployment["litellm_params"]
    model, provider, _, base = litellm.get_llm_provider(params["model"], api_base=params.get("api_base"))
    info = litellm.get_model_info(deployment["model_info"]["id"])
    loaded.append([deployment["model_name"], provider, model, info["input_cost_per_token"], info["max_input_tokens"]])
print(json.dumps(loaded))
"""


def load(file: Path) -> list[list[Any]]:
    """LiteLLM's router's view of a configuration: name, provider, model, price, context."""
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    argv = [sys.executable, "-c", _LOADER, str(file)]
    ran = subprocess.run(
        argv, env=surroundings(variables), capture_output=True, text=True, timeout=2 * LONGEST, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    loaded: list[list[Any]] = json.loads(ran.stdout.splitlines()[-1])
    return loaded


async def test_the_whole_price_map_comes_in_once_and_changes_no_configuration(replica: Replica) -> None:
    client = replica.client
    path = price_map_of_wheel()
    assert path is not None
    reading = read_prices(read_json(path), date(2026, 6, 1))
    assert len(reading.offers) > 3000
    body = import_body("litellm", reading, ImportOptions(activate=True))
    before = (await client.get("/api/tensorzero/config?revision=latest")).text

    first = (await client.post("/api/models/import", json=body, timeout=LONGEST)).json()
    created = [entry for entry in first["report"] if entry["action"] == "created" and entry["kind"] == "model"]
    assert len(created) > 3000
    # Models that the gateway cannot embed with, or that no server here has, are left out and reported.
    assert len(created) > 0.95 * len(reading.offers)
    assert (await client.get("/api/tensorzero/config?revision=latest")).text == before

    second = (await client.post("/api/models/import", json=body, timeout=LONGEST)).json()
    assert {entry["action"] for entry in second["report"]} == {"unchanged", "skipped"}
    assert second["revision"] == first["revision"]


def test_litellm_reads_a_model_of_every_provider_type(tmp_path: Path) -> None:
    catalogue = Catalogue()
    prices = {"cost_per_1m_input_tokens": 0.15, "cost_per_1m_output_tokens": 0.6, "context_length": 4096}
    for kind in PROVIDER_TYPES.values():
        extras = {"region": "eu-west-1", "location": "eu", "project_id": "p", "hosted_provider": "openai"}
        columns: dict[str, Any] = {"tensorzero": {key: extras[key] for key in kind.required_keys}}
        if kind.credential and not kind.base_required:
            columns["api_key_env_var"] = f"{kind.name.upper()}_KEY"
        provider = catalogue.provider(kind.name, kind.name, **columns)
        catalogue.model(provider, f"m_{kind.name}", model_id="org/model", **prices)
    rendered = LiteLLMRenderer().render(catalogue.snapshot(), Gateway(id="g", name="edge", kind="litellm"))
    file = tmp_path / "config.yaml"
    file.write_bytes(rendered.files["config.yaml"])

    loaded = load(file)

    assert [o.name for o in rendered.omitted if o.kind == "model"] == ["m_custom"]
    assert {name for name, *_ in loaded} == {f"m_{kind}" for kind in PROVIDER_TYPES} - {"m_custom"}
    assert {(model, price, context) for _, _, model, price, context in loaded} == {("org/model", 1.5e-07, 4096)}
    assert "dummy" not in file.read_text("utf-8")
