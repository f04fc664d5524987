"""LiteLLM's own router on configurations before their import and after it: it makes the same deployments of both."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from model_registry.gateways.litellm.compare import FACTS
from support import litellm_configs
from support.litellm_imports import Registry, meant
from support.processes import surroundings
from support.waiting import LONGEST

_ROUTER = """
import asyncio, inspect, json, os, sys
import litellm

def named(value):
    if isinstance(value, str):
        return [value.removeprefix("os.environ/")] if value.startswith("os.environ/") else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for item in items for name in named(item)]

known = set(inspect.signature(litellm.Router.__init__).parameters)

async def made_of(tree):
    settings = {key: value for key, value in (tree.get("router_settings") or {}).items() if key in known}
    settings = {key: value for key, value in settings.items() if not key.startswith("redis")}
    router = litellm.Router(model_list=tree["model_list"], ignore_invalid_deployments=True, **settings)
    kept = {key: getattr(router, key) for key in sorted(settings) if hasattr(router, key)}
    return {"deployments": router.registry().all(), "settings": kept}

answers = {}
for name, pair in json.load(sys.stdin).items():
    os.environ.update({variable: "os.environ of " + variable for tree in pair for variable in named(tree)})
    answers[name] = [asyncio.run(made_of(tree)) for tree in pair]
print(json.dumps(answers, default=str))
"""


def asked(configurations: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What LiteLLM's router makes of each configuration."""
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ROUTER],
        input=json.dumps(configurations),
        env=surroundings(variables),
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    answers: dict[str, list[dict[str, Any]]] = json.loads(ran.stdout.splitlines()[-1])
    return answers


def in_one_form(deployments: list[dict[str, Any]]) -> list[str]:
    """Deployments without their ids and the facts that the catalogue may add, in an order of their own.

    `order` counts within its group; LiteLLM has no word for no key, so any will do.
    """
    found = []
    for one in deployments:
        params = dict(one["litellm_params"])
        orders = sorted(
            {d["litellm_params"].get("order") or 99 for d in deployments if d["model_name"] == one["model_name"]}
        )
        params["order"] = orders.index(params.pop("order", None) or 99)
        if params.get("api_key") in {"EMPTY", "dummy", "lm-studio", "fake-key"}:
            params["api_key"] = "none"
        info = {key: value for key, value in one["model_info"].items() if not FACTS.fullmatch(key)}
        found.append(json.dumps([one["model_name"], params, info], sort_keys=True))
    return sorted(found)


def test_litellms_router_makes_the_same_of_what_went_in_and_of_what_came_out() -> None:
    pairs: dict[str, list[dict[str, Any]]] = {}
    for name in litellm_configs.NAMES:
        files = litellm_configs.files_of(name)
        registry = Registry.empty()
        registry.take(files, skip_literal_keys=True)
        pairs[name] = [meant(files), registry.config().tree]
    for name, (before, after) in asked(pairs).items():
        assert in_one_form(before["deployments"]) == in_one_form(after["deployments"]), name
        assert len(before["deployments"]) >= 2, name
        for answer in (before, after):
            aliases = answer["settings"].pop("model_group_alias", {})
            answer["aliases"] = {alias: _target(target) for alias, target in aliases.items()}
        assert before["settings"] == after["settings"], name
        assert before["aliases"] == after["aliases"], name


def _target(target: Any) -> tuple[str, bool]:
    return (target["model"], target["hidden"]) if isinstance(target, dict) else (target, False)
