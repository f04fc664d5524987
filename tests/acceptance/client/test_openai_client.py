"""OpenAI's own client lists the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from support.processes import Service


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    """A client with an arbitrary key, as used where none is required."""
    for path, body in (
        ("providers", {"name": "local", "type": "ollama", "api_base": "http://localhost:11434/v1"}),
        ("models", {"provider": "local", "name": "org/m:8b", "model_id": "m:8b"}),
        ("models", {"provider": "local", "name": "old", "model_id": "old", "status": "deprecated"}),
        ("aliases", {"alias": "default_model", "model": "org/m:8b"}),
    ):
        assert service.client.post(f"/api/{path}", json=body).status_code == 201
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_it_lists_what_is_offered_and_finds_each_by_its_name(client: openai.OpenAI) -> None:
    listed = list(client.models.list())

    assert [(model.id, model.object, model.owned_by) for model in listed] == [
        ("default_model", "model", "local"),
        ("org/m:8b", "model", "local"),
    ]
    assert all(model.created > 1_700_000_000 for model in listed)
    assert [client.models.retrieve(model.id) for model in listed] == listed


def test_it_understands_that_a_model_is_not_there(client: openai.OpenAI) -> None:
    for name in ("nobody", "old"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve(name)
        assert caught.value.code == "model_not_found"
        assert name in caught.value.message
