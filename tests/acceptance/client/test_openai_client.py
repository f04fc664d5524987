"""OpenAI's own client lists the catalogue, and asks its models."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from support.processes import Service, StartService
from support.stub_openai import StubOpenAI


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


KEY = "sk-test-0123456789abcdef0123456789abcdef"


def test_a_key_of_the_environment_asks_a_model_and_is_seen_by_its_provider_alone(start_service: StartService) -> None:
    service = start_service(STUB_API_KEY=f"{KEY}\n")
    with StubOpenAI() as good, StubOpenAI(status=401) as bad:
        for name, stub in (("good", good), ("bad", bad)):
            place = {"api_base": stub.api_base, "api_key_env_var": "STUB_API_KEY"}
            service.post("/api/providers", {"name": name, "type": "openai_compatible", **place})
            service.post("/api/models", {"provider": name, "name": name, "model_id": "upstream"})
        key = service.client.headers["Authorization"].removeprefix("Bearer ")
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
            stream = client.chat.completions.create(
                model="good", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "as upstream ü\u2028"
            with pytest.raises(openai.InternalServerError, match="refused the key in STUB_API_KEY") as refused:
                client.embeddings.create(model="bad", input="hello")

    assert [asked.headers["authorization"] for asked in (*good.asked, *bad.asked)] == [f"Bearer {KEY}"] * 2
    seen = [service.client.get(path).text for path in ("/metrics", "/api/providers", "/readyz")]
    assert KEY not in "".join([*seen, refused.value.response.text, str(refused.value.response.headers)])
    assert KEY not in service.program.said
