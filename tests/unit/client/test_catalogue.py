"""The client's copy of the catalogue finds what the registry finds."""

from __future__ import annotations

import json

import pytest

from model_registry.client.catalogue import Catalogue, read_catalogue
from model_registry.errors import AmbiguousName


def catalogue(*services: str) -> Catalogue:
    model = {"id": "m", "provider_id": "p", "name": "qwen", "model_id": "qwen3:8b"}
    mappings = [
        {"id": service, "service_name": service, "function_name": "chat", "variant_name": "v", "model_id": "m"}
        for service in services
    ]
    return read_catalogue(json.dumps({"models": [model], "mappings": mappings}).encode())


@pytest.mark.parametrize("name", ["hi-rag", "hirag", "Hi_RAG"])
def test_a_service_is_found_by_every_spelling(name: str) -> None:
    assert [model.name for model in catalogue("hirag", "other").models_for(name, "chat")] == ["qwen"]
    assert catalogue("other").models_for(name) == []


def test_the_exact_name_wins_and_several_are_named() -> None:
    both = catalogue("hirag", "hi-rag")

    assert len(both.models_for("hi-rag")) == 1
    with pytest.raises(AmbiguousName, match="'hi-rag' or 'hirag'"):
        both.models_for("Hi Rag")
