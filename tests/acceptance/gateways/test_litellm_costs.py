"""Our exact costs against LiteLLM's own `cost_per_token`, for many kinds of requests at models of its whole map."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from model_registry.imports.sources.fetch import price_map_of_wheel, read_json
from model_registry.imports.sources.litellm_prices import read_prices
from model_registry.selection.costs import request_costs
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.request_counts import TokenCounts
from support.catalogues import Catalogue
from support.processes import surroundings
from support.waiting import LONGEST

_ASKS = """
import json, sys
import litellm
from litellm.types.utils import Usage

for line in open(sys.argv[1]):
    key, usage, terms = json.loads(line)
    usage = Usage(**usage)
    counts = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    try:
        print("=" + json.dumps(sum(litellm.cost_per_token(model=key, usage_object=usage, **counts, **terms))))
    except Exception:
        print("=null")  # a key that LiteLLM itself resolves to no provider
"""

REQUESTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "short": ({}, {}, {}),
    "at a step": ({"prompt_tokens": 200_000}, {}, {}),
    "above a step": ({"prompt_tokens": 272_001}, {}, {}),
    "above all steps": ({"prompt_tokens": 600_001}, {}, {}),
    "cached": (
        {"prompt_tokens": 150_000, "prompt_tokens_details": {"cached_tokens": 70_000}},
        {},
        {"cached_input_tokens": 70_000},
    ),
    "cached and long": (
        {"prompt_tokens": 300_000, "prompt_tokens_details": {"cached_tokens": 70_000}},
        {},
        {"cached_input_tokens": 70_000},
    ),
    "written": (
        {"prompt_tokens_details": {"cached_tokens": 100, "cache_creation_tokens": 300}},
        {},
        {"cached_input_tokens": 100, "cache_write_tokens": 300},
    ),
    "thought": ({"completion_tokens_details": {"reasoning_tokens": 300}}, {}, {"reasoning_tokens": 300}),
    "heard and said": (
        {"prompt_tokens_details": {"audio_tokens": 300}, "completion_tokens_details": {"audio_tokens": 100}},
        {},
        {"input_audio_tokens": 300, "output_audio_tokens": 100},
    ),
    "flex": ({"prompt_tokens": 300_000}, {"service_tier": "flex"}, {"service_tier": "flex"}),
    "priority": ({}, {"service_tier": "priority"}, {"service_tier": "priority"}),
    "batch": ({"prompt_tokens": 300_000}, {"call_type": "retrieve_batch"}, {"service_tier": "batch"}),
    "in the EU": ({}, {"data_residency": "eu"}, {"variant": "eu"}),
}
"""Usage, terms of LiteLLM's call, counts of ours; 1,000 tokens in and 500 out unless it says otherwise."""

_MODES = {
    "audio_transcription": (
        {"audio_transcription_file_duration": 61, "call_type": "transcription"},
        {"audio_seconds": 61},
    ),
    "audio_speech": ({"prompt_characters": 61, "call_type": "speech"}, {"input_characters": 61}),
}

_NOT_COMPARED = {
    "perplexity": "its fee for each request and its prices by length are in the map, and LiteLLM ignores them",
    "fireworks_ai": "LiteLLM ignores its service tiers",
    "xai": "its thinking comes on top of its output tokens, and not within them",
}


def request(counts: dict[str, Any]) -> TokenCounts:
    own = {name: value for name, value in counts.items() if name in TokenCounts.model_fields}
    return TokenCounts.model_validate(own | {"counts": {n: v for n, v in counts.items() if n not in own}})


def asked(document: dict[str, Any]) -> Iterator[tuple[str, str, list[Any], TokenCounts]]:
    """Yield model, request, LiteLLM's call and ours: one request at each model in turn, all at the telling ones."""
    for number, (key, entry) in enumerate(document.items()):
        if entry.get("litellm_provider") in _NOT_COMPARED or "mode" not in entry:
            continue
        if entry["mode"] in _MODES:
            terms, counts = _MODES[entry["mode"]]
            usage = {"prompt_tokens": 0, "completion_tokens": 0}
            yield key, entry["mode"], [key, usage, terms], request({"input_tokens": 0, "output_tokens": 0} | counts)
            continue
        telling = sum("_above_" in name for name in entry) > 3 or "tiered_pricing" in entry
        names = list(REQUESTS) if telling and number % 19 == 0 else [list(REQUESTS)[number % len(REQUESTS)]]
        for name in names if (telling and number % 2 == 0) or number % 7 == 0 else ():
            more, terms, counts = REQUESTS[name]
            usage = {"prompt_tokens": 1000, "completion_tokens": 500} | more
            ours = {"reasoning_tokens": 0, "input_tokens": usage["prompt_tokens"], "output_tokens": 500} | counts
            yield key, name, [key, usage, terms], request(ours)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    path = price_map_of_wheel()
    assert path is not None
    found: Any = read_json(path)
    return dict(found)


def test_what_is_exact_is_what_litellm_computes(document: dict[str, Any], tmp_path: Path) -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "custom")
    named = {}
    for key, entry in document.items():
        for offer in read_prices({key: entry}, date(2026, 6, 1)).offers:
            prices = {name: value for name, value in offer.fields.items() if value is not None and _is_price(name)}
            named[key] = catalogue.model(provider, key, model_type=offer.fields["model_type"], **prices)
    index = ModelIndex(catalogue.snapshot())
    calls = [call for call in asked(document) if call[0] in named]
    ours = [_cost(index, named[key], counts) for key, _, _, counts in calls]
    known = [(call, cost) for call, cost in zip(calls, ours, strict=True) if cost is not None]
    file = tmp_path / "requests"
    file.write_text("\n".join(json.dumps(call[2]) for call, _ in known), "utf-8")

    theirs = _litellm(file)

    compared: Counter[str] = Counter()
    for ((key, name, *_), cost), other in zip(known, theirs, strict=True):
        if other is not None:
            assert float(cost) == pytest.approx(other, rel=1e-9, abs=1e-15), (key, name)
            compared[name] += 1
    assert compared.keys() == REQUESTS.keys() | _MODES.keys()
    assert compared.total() > 400
    assert compared.total() > 0.6 * len(calls)


def _is_price(name: str) -> bool:
    return name.startswith("cost_per_1m") or name in {"further_prices", "price_factors"}


def _cost(index: ModelIndex, model: str, counts: TokenCounts) -> Decimal | None:
    position = index.position(model)
    assert position is not None
    return request_costs(index, counts).dollars(position)


def _litellm(file: Path) -> list[float | None]:
    """LiteLLM's answers, one a line, from a process of its own: importing it takes seconds and starts threads."""
    variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"}
    argv = [sys.executable, "-c", _ASKS, str(file)]
    ran = subprocess.run(
        argv, env=surroundings(variables), capture_output=True, text=True, timeout=2 * LONGEST, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [json.loads(line[1:]) for line in ran.stdout.splitlines() if line.startswith("=")]
