"""One item that cannot be read costs no other: in every source, whatever is wrong with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from model_registry.entities.offer import Offer, SourceContent
from model_registry.imports.sources import csv_rows, huggingface, litellm_prices, servers
from model_registry.imports.sources.items import make_offer

ODD: list[Any] = [
    *(None, True, 1, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", "1e999", "NaN", [], [1], ["a"], [None]),
    *({}, {"a": 1}, {"total": float("nan")}, {"prompt": 10**400}, {"input_modalities": 7}, {"F16": 10**400}),
]


def ollama(values: Callable[[], Any]) -> SourceContent:
    shown = {"details": values(), "model_info": {"general.parameter_count": values()}, "capabilities": values()}
    tags = {"models": [{"name": "a"}, {"name": "odd", "size": values()}, {"name": "z"}]}
    return servers.read_ollama(tags, {"a": {}, "odd": shown, "z": {}}, "http://gpu:11434", "gpu")


def openai(values: Callable[[], Any]) -> SourceContent:
    facts = {key: values() for key in ("max_model_len", "pricing", "top_provider", "capabilities", "architecture")}
    return servers.read_openai_models({"data": [{"id": "a"}, {"id": "odd"} | facts, {"id": "z"}]}, "p", "vllm", "")


def hub(values: Callable[[], Any]) -> SourceContent:
    config = {key: values() for key in ("text_config", "quantization_config", "max_position_embeddings")}
    info = {"safetensors": {"total": values(), "parameters": values()}, "gguf": values(), "pipeline_tag": values()}
    models: dict[str, tuple[Any, Any]] = {"a": ({"x": 1}, {}), "odd": (config, info), "z": ({"x": 1}, {})}
    return SourceContent.joined(huggingface.read_huggingface(name, *facts, None) for name, facts in models.items())


def prices(values: Callable[[], Any]) -> SourceContent:
    good = {"litellm_provider": "openai", "mode": "chat"}
    odd = good | {key: values() for key in ("input_cost_per_token", "max_tokens", "deprecation_date", "source")}
    return litellm_prices.read_prices({"a": good, "odd": odd, "z": good}, date(2026, 1, 1))


@pytest.mark.parametrize("read", [ollama, openai, hub, prices], ids=lambda read: read.__name__)
def test_whatever_one_item_says_the_others_are_read(read: Callable[[Callable[[], Any]], SourceContent]) -> None:
    choose = random.Random(7)  # noqa: S311 (the same in every run)
    for _ in range(300):
        content = read(lambda: choose.choice(ODD))
        offered = [offer.model_id for offer in content.offers]
        assert {"a", "z"} <= set(offered)
        assert sorted({*offered, *(one.name for one in (*content.unread, *content.passed_over))}) == ["a", "odd", "z"]


def test_a_row_of_a_table_that_is_nested_without_end_is_named_and_the_others_are_read() -> None:
    nested = '{"a":' * 100_000
    content = csv_rows.read_csv("\n".join(("provider,model_id,benchmarks", "p,a,", f"p,odd,{nested}", "p,z,")))

    assert {"a", "z"} <= {offer.model_id for offer in content.offers}


@pytest.mark.parametrize("error", [OverflowError, AttributeError, KeyError, RecursionError, TypeError, ValueError])
def test_an_item_that_cannot_be_understood_is_named_with_the_reason(error: type[Exception]) -> None:
    def fail() -> Offer:
        raise error("why")

    (unread,) = make_offer("m", fail).unread

    assert unread.name == "m"
    assert error.__name__ in unread.reason
    assert "why" in unread.reason


def test_a_number_that_no_request_can_carry_is_no_fact() -> None:
    content = make_offer("m", lambda: Offer(model_id="m", fields={"context_length": float("inf")}))

    assert (content.offers, content.unread[0].name) == ((), "m")
