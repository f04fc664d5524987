"""What OpenAI-compatible servers say of a model: its type before its name, limits, prices; and what is no model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model_registry.entities.offer import SourceContent
from model_registry.imports.sources.servers import read_openai_models


def read(*models: dict[str, Any]) -> SourceContent:
    return read_openai_models({"data": list(models)}, "p", "openai_compatible", "http://h/v1")


def fields(**model: Any) -> dict[str, Any]:
    [offer] = read({"id": "m", **model}).offers
    return offer.fields


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"mode": "embedding"}, "embedding"),
        ({"mode": "image_generation"}, "image"),
        ({"mode": "audio_transcription"}, "audio"),
        ({"type": "language"}, "chat"),
        ({"type": "embeddings"}, "embedding"),
        ({"type": "vlm"}, "vl"),
        ({"type": "rerank"}, "reranker"),
        ({"type": "transcribe"}, "audio"),
        ({"type": "audio"}, "tts"),
        ({"type": "audio", "id": "whisper-large"}, "audio"),
        ({"type": "chat", "id": "embedding-rewriter"}, "chat"),
        ({"model_type": "LLM", "id": "rerank-judge"}, "chat"),
        ({"model_type": "audio", "model_ability": ["audio2text"]}, "audio"),
        ({"model_type": "audio", "model_ability": ["text2audio"]}, "tts"),
        ({"architecture": {"output_modalities": ["embeddings"]}}, "embedding"),
        ({"architecture": {"output_modalities": ["image"]}}, "image"),
        ({"architecture": {"output_modalities": ["text", "image"]}, "id": "nano-image"}, "chat"),
        ({"architecture": {"input_modalities": ["audio"], "output_modalities": ["text"]}}, "audio"),
        ({"architecture": {"output_modalities": ["text"]}, "id": "flux-writer"}, "chat"),
        ({"model_type": {"embedding": {"pooling": "cls"}}}, "embedding"),
        ({"model_type": {"reranker": {}}}, "reranker"),
        ({"capabilities": ["embedding"]}, "embedding"),
        ({"capabilities": ["completion", "vision"], "id": "image-asker"}, "image"),
        ({"architecture": {"output_modalities": ["audio"]}}, "tts"),
        ({"output_modalities": ["image"]}, "image"),
        ({"capabilities": {"completion_chat": False, "audio_transcription": True}}, "audio"),
        ({"capabilities": {"completion_chat": False, "embeddings": True}}, "embedding"),
        ({"capabilities": {"type": "embeddings", "family": "text-embedding-3-small"}}, "embedding"),
        ({"type": "text_embedding"}, "embedding"),
        ({"type": ["embedding"]}, "embedding"),
        ({"type": "speech-to-text"}, "audio"),
        ({"task": "image-to-image"}, "image"),
        ({"output_modalities": "image"}, "image"),
        ({"architecture": {"modality": "text->image"}}, "image"),
        ({"architecture": {"modality": "text+image->text"}, "id": "image-asker"}, "chat"),
        ({"model_type": "llama"}, "chat"),
        ({"id": "imagenet-captioner"}, "chat"),
        ({"id": "text-embedding-3"}, "embedding"),
        ({"id": "bge-reranker"}, "reranker"),
    ],
)
def test_what_a_server_says_comes_before_what_a_name_means(said: dict[str, Any], kind: str) -> None:
    assert fields(**said)["model_type"] == kind


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"id": "*"}, "a pattern of names, and no model"),
        ({"id": "openai/*"}, "a pattern of names, and no model"),
        ({"id": "m", "mode": "moderation"}, "no kind of model that is catalogued: moderation"),
        ({"id": "m", "type": "video"}, "no kind of model that is catalogued: video"),
        (
            {"id": "m", "capabilities": {"completion_chat": False, "ocr": True}},
            "no kind of model that is catalogued: ocr",
        ),
        ({"id": "m", "pricing": {"prompt": float("inf")}}, "pricing.prompt is not a number of dollars: Infinity"),
        ({"id": "m", "pricing": {"prompt": "NaN"}}, "pricing.prompt is not a number of dollars: NaN"),
        ({"id": "m", "max_model_len": float("nan")}, "holds nan or infinity"),
        ({"id": "good"}, "stands in the answer twice"),
    ],
)
def test_what_is_no_model_is_passed_over_with_its_reason(model: dict[str, Any], reason: str) -> None:
    reading = read({"id": "good"}, model)
    assert [offer.model_id for offer in reading.offers] == ["good"]
    assert [passed.reason for passed in reading.passed_over + reading.unread] == [reason]


def test_limits_that_are_none_are_not_known() -> None:
    assert fields(max_input_tokens=512, max_output_tokens="64") == {
        "model_type": "chat",
        "context_length": 512,
        "max_output_tokens": 64,
    }
    for nothing in (0, -1, None, "many", True):
        assert fields(max_model_len=nothing, context_length=7)["context_length"] == 7


def test_a_limit_that_no_row_can_have_is_left_out_with_its_reason() -> None:
    for impossible in (1e18, 2**31, 8192.5, "9" * 5000):
        (offer,) = read({"id": "m", "context_length": impossible, "max_output_tokens": 64}).offers
        assert offer.fields == {"model_type": "chat", "max_output_tokens": 64}
        assert "a whole number up to 2147483647" in offer.left_out["context_length"]
    assert fields(context_length=8192.0)["context_length"] == 8192


def test_prices_by_the_token_as_text_and_by_the_million_as_numbers() -> None:
    routed = {"prompt": "0.000001", "completion": 2e-6, "input_cache_write": "0.00000125", "request": "0", "image": "0"}
    assert fields(pricing=routed) == {
        "model_type": "chat",
        "cost_per_1m_input_tokens": 1.0,
        "cost_per_1m_output_tokens": 2.0,
        "further_prices": [{"of": "cache_write_tokens", "per_million": "1.25"}],
    }
    assert fields(pricing={"input": 0.02, "output": 0, "hourly": 0})["cost_per_1m_input_tokens"] == 0.02
    assert "cost_per_1m_input_tokens" not in fields(pricing={"input": 2e-7})
    assert fields(metadata={"pricing": {"input_tokens": 0.06}})["cost_per_1m_input_tokens"] == 0.06
    assert fields(pricing={"prompt": "-1", "completion": "-1"}) == {"model_type": "chat"}


def test_a_picture_that_costs_is_not_free() -> None:
    drawn = fields(pricing={"prompt": "0", "image": "0.04"}, architecture={"output_modalities": ["image"]})
    assert drawn["further_prices"] == [{"of": "output_images", "per_unit": "0.04"}]
    assert fields(pricing={"prompt": "0", "image": "0.04"})["further_prices"][0]["of"] == "input_images"
    assert fields(pricing={"input": 0, "base": 0.003})["further_prices"] == [
        {"of": "other", "name": "base", "per_unit": "0.003"}
    ]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 10**400, "\ud800", "a\x00b"])
def test_one_value_that_json_cannot_carry_holds_no_other_model_back(odd: Any) -> None:
    reading = read({"id": "odd", "description": odd}, {"id": "good"})
    assert [offer.model_id for offer in reading.offers] == ["good"]
    assert [unread.name for unread in reading.unread] == ["odd"]
    json.dumps([offer.model_dump() for offer in reading.offers], allow_nan=False).encode()


def test_a_price_of_a_million_under_the_name_of_one_token_is_not_known() -> None:
    assert "cost_per_1m_input_tokens" not in fields(pricing={"prompt": 0.27, "completion": "0.3"})
    assert fields(pricing={"prompt": "0.0006"})["cost_per_1m_input_tokens"] == 600


def test_prices_in_a_form_of_their_own_are_named() -> None:
    said = fields(pricing={"prompt": "0", "completion": "0", "overrides": [{"min_tokens": 200_000, "prompt": "1e-6"}]})

    assert said["further_prices"] == [{"of": "other", "name": "overrides"}]
