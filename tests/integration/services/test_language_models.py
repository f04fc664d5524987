"""OpenAI's own client asks language models through the registry, and sees what it would see without it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import openai
import pytest

from model_registry.entities.api_key import hash_of, new_secret
from model_registry.entities.change import Operation
from support.catalogue import add, add_mapping, add_model, add_provider
from support.dispatch import Dispatching
from support.replica import ADMIN_KEY
from support.stub_openai import SPEECH, StubOpenAI
from support.waiting import until

StartStub = Callable[..., StubOpenAI]
PROVIDER_KEY = "sk-test-0123456789abcdef0123456789abcdef"
HELLO: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"model": {"type": "string"}}}},
}


@pytest.fixture
def start_openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartStub]:
    """A function that starts a stub server of OpenAI's protocol. The provider's key is set."""
    monkeypatch.setenv("STUB_API_KEY", PROVIDER_KEY)
    with ExitStack() as stubs:
        yield lambda **facts: stubs.enter_context(StubOpenAI(**facts))


@pytest.fixture
async def client(registry: Dispatching) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client for the registry."""
    base = f"http://127.0.0.1:{registry.port}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=ADMIN_KEY, max_retries=0) as made:
        yield made


@asynccontextmanager
async def directly(stub: StubOpenAI) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client for a stub."""
    async with openai.AsyncOpenAI(base_url=stub.api_base, api_key="none", max_retries=0) as made:
        yield made


async def serve(registry: Dispatching, stub: StubOpenAI, name: str = "m", **fields: Any) -> None:
    """Add a provider with one model, `m-upstream`."""
    plain = {"type": "openai_compatible", "api_base": stub.api_base, "api_key_env_var": "STUB_API_KEY"}
    await add_provider(registry.client, f"at_{name}", **{**plain, **fields})
    await add_model(registry.client, name, f"at_{name}", model_id=f"{name}-upstream")


async def test_answers_are_the_same_as_without_the_registry(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai()
    await serve(registry, stub)
    async with directly(stub) as direct:
        got = await _everything(client, "m")
        assert got == await _everything(direct, "m-upstream")
    assert got[-2] == SPEECH
    through, without = stub.asked[:8], stub.asked[8:]
    assert [asked.model for asked in through] == ["m-upstream"] * 8
    assert [asked.path for asked in through] == [asked.path for asked in without]
    for asked, same in zip(through, without, strict=True):
        assert asked.body == same.body or "multipart" in asked.headers["content-type"]


@pytest.mark.parametrize("tools", [[], [TOOL]])
async def test_streams_are_the_same_chunk_by_chunk(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub, tools: list[Any]
) -> None:
    stub = start_openai()
    await serve(registry, stub)
    more: Any = {"tools": tools} if tools else {}

    async def chunks(one: openai.AsyncOpenAI, model: str) -> list[Any]:
        stream = await one.chat.completions.create(model=model, messages=HELLO, stream=True, **more)
        return [chunk async for chunk in stream]

    async with directly(stub) as direct:
        got = await chunks(client, "m")
        assert got == await chunks(direct, "m-upstream")
    assert len(got) == 4


async def test_headers_are_the_upstreams_and_say_who_answered(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai()
    await serve(registry, stub)

    raw = await client.chat.completions.with_raw_response.create(model="m", messages=HELLO)

    assert raw.headers["x-request-id"] == "req_1"
    assert raw.headers["x-registry-service"] == "at_m/m-upstream"
    assert raw.headers["x-registry-attempts"] == "1"


async def test_errors_of_the_upstream_are_passed_on(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai(status=429, retry_after="7")
    await serve(registry, stub)

    with pytest.raises(openai.RateLimitError) as refused:
        await client.chat.completions.create(model="m", messages=HELLO)

    assert (refused.value.code, refused.value.response.headers["retry-after"]) == ("stub", "7")
    assert len(stub.asked) == 1


async def test_the_provider_gets_its_key_and_nothing_of_the_callers(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai()
    await serve(registry, stub)
    headers = {"X-API-Key": ADMIN_KEY, "Cookie": "a=b", "api-key": "other"}

    await client.chat.completions.create(model="m", messages=HELLO, extra_headers=headers)
    await serve(registry, stub, "open", api_key_env_var=None)
    await client.chat.completions.create(model="open", messages=HELLO)

    first, second = stub.asked
    assert first.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert "authorization" not in second.headers
    for asked in stub.asked:
        assert not {"cookie", "x-api-key", "api-key"} & asked.headers.keys()
        assert ADMIN_KEY not in str(asked)


async def test_a_callers_own_authorization_beside_its_key_does_not_reach_the_provider(
    registry: Dispatching, start_openai: StartStub
) -> None:
    stub = start_openai()
    await serve(registry, stub)
    headers = {"X-API-Key": ADMIN_KEY, "Authorization": "Basic b3RoZXI="}

    answer = await registry.client.post("/v1/chat/completions", json={"model": "m", "messages": HELLO}, headers=headers)

    assert answer.status_code == 200
    assert stub.asked[0].headers["authorization"] == f"Bearer {PROVIDER_KEY}"


async def test_an_error_that_quotes_the_providers_key_reaches_the_caller_without_it(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai(status=403)
    await serve(registry, stub)

    with pytest.raises(openai.PermissionDeniedError) as refused:
        await client.chat.completions.create(model="m", messages=HELLO)

    assert refused.value.message.count("*") == len(PROVIDER_KEY)
    assert PROVIDER_KEY not in refused.value.response.text


async def test_a_refused_key_is_the_registrys_matter_and_is_said_by_its_variable(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    await serve(registry, start_openai(status=401))

    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="m", messages=HELLO)

    assert refused.value.status_code == 502
    assert "refused the key in STUB_API_KEY" in refused.value.message
    assert PROVIDER_KEY not in refused.value.response.text


@pytest.mark.parametrize("value", ["two\nlines", ""])
async def test_a_variable_that_holds_no_key_is_said_and_nothing_is_sent(
    registry: Dispatching,
    client: openai.AsyncOpenAI,
    start_openai: StartStub,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
) -> None:
    stub = start_openai()
    monkeypatch.setenv("STUB_API_KEY", value)
    await serve(registry, stub)

    with pytest.raises(openai.InternalServerError, match="STUB_API_KEY") as refused:
        await client.chat.completions.create(model="m", messages=HELLO)

    assert refused.value.status_code == 503
    assert not stub.asked


async def test_a_secret_of_the_registry_is_sent_to_nobody(
    registry: Dispatching,
    client: openai.AsyncOpenAI,
    start_openai: StartStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub = start_openai()
    monkeypatch.setenv("POSTGREST_KEY", "the database's")
    await serve(registry, stub, api_key_env_var="POSTGREST_KEY")

    with pytest.raises(openai.InternalServerError, match="POSTGREST_KEY is a variable of the registry's own"):
        await client.chat.completions.create(model="m", messages=HELLO)

    assert not stub.asked


async def test_a_fallback_model_is_asked_while_the_first_server_is_gone(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    first, second = start_openai(), start_openai()
    await serve(registry, first, "first")
    await serve(registry, second, "second")
    await add_mapping(registry.client, "agent/chat/v", "first", fallback_model_id="second")

    async def answer() -> str | None:
        done = await client.chat.completions.create(model="agent/chat", messages=HELLO)
        return done.choices[0].message.content

    assert await answer() == "as first-upstream"
    first.stop()
    assert [await answer() for _ in range(4)] == ["as second-upstream"] * 4


async def test_the_next_model_is_asked_when_the_first_fails(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    faults: list[dict[str, Any]] = [{"status": 500}, {"status": 429}, {"status": 401}, {"dies": True}]
    await serve(registry, start_openai(), "last")
    for number, fault in enumerate(faults):
        await serve(registry, start_openai(**fault), f"m{number}")
        await add_mapping(registry.client, f"agent/chat{number}/a", f"m{number}", priority=1)
        await add_mapping(registry.client, f"agent/chat{number}/b", "last", priority=2)

        ask = client.chat.completions.with_raw_response.create
        raw = await ask(model=f"agent/chat{number}", messages=HELLO)

        assert raw.headers["x-registry-service"] == "at_last/last-upstream"
        assert raw.headers["x-registry-attempts"] == "2"


async def test_a_stream_that_has_begun_is_not_begun_again(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    first, second = start_openai(dies_after=2), start_openai()
    await serve(registry, first, "first")
    await serve(registry, second, "second")
    await add_mapping(registry.client, "agent/chat/v", "first", fallback_model_id="second")

    got = []

    async def read() -> None:
        stream = await client.chat.completions.create(model="agent/chat", messages=HELLO, stream=True)
        async for chunk in stream:
            got.append(chunk)  # noqa: PERF401 (those that came count, when it breaks off)

    with pytest.raises(openai.APIConnectionError):
        await read()
    assert len(got) == 2
    assert not second.asked


async def test_weights_are_shares(registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub) -> None:
    first, second = start_openai(), start_openai()
    await serve(registry, first, "first")
    await serve(registry, second, "second")
    await add_mapping(registry.client, "agent/chat/a", "first", weight=3)
    await add_mapping(registry.client, "agent/chat/b", "second", weight=1)

    for _ in range(20):
        await client.chat.completions.create(model="agent/chat", messages=HELLO)

    assert (len(first.asked), len(second.asked)) == (15, 5)


async def test_nodes_that_have_the_model_loaded_are_asked_and_one_that_dies_is_not_missed(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    nodes = [start_openai(), start_openai()]
    gone = {"api_base": "http://127.0.0.1:9/v1", "route_by": "deployments"}
    await add_provider(registry.client, "fleet", type="vllm", **gone)
    await add_model(registry.client, "m", "fleet", model_id="org/m")
    for number, node in enumerate(nodes):
        report = {"node_id": f"n{number}", "provider_type": "vllm", "model_id": "org/m", "endpoint": node.url}
        assert (await registry.client.post("/api/deployments/register", json=report)).status_code < 300

    for _ in range(4):
        await client.chat.completions.create(model="m", messages=HELLO)
    assert [len(node.asked) for node in nodes] == [2, 2]
    nodes[0].stop()
    for _ in range(4):
        await client.chat.completions.create(model="m", messages=HELLO)

    assert len(nodes[1].asked) == 6
    assert {asked.model for asked in nodes[1].asked} == {"org/m"}


async def test_an_unknown_model_is_not_found_and_the_nearest_is_named(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    await serve(registry, start_openai(), "qwen3_8b")

    with pytest.raises(openai.NotFoundError, match="Did you mean 'qwen3_8b'") as refused:
        await client.chat.completions.create(model="qwen3-8b", messages=HELLO)

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert refused.value.type == "invalid_request_error"


async def test_another_protocol_names_a_gateway(registry: Dispatching, client: openai.AsyncOpenAI) -> None:
    fields = {"type": "anthropic", "api_base": None, "api_key_env_var": "STUB_API_KEY"}
    await add_provider(registry.client, "anthropic", **fields)
    await add_model(registry.client, "claude", "anthropic", model_id="claude-x")

    with pytest.raises(openai.InternalServerError, match="LiteLLM as anthropic/claude-x") as refused:
        await client.chat.completions.create(model="claude", messages=HELLO)

    assert (refused.value.status_code, refused.value.code) == (501, "E5011")


async def test_a_body_without_a_model_or_one_that_is_too_large_is_refused(registry: Dispatching) -> None:
    asked = registry.client
    missing = await asked.post("/v1/chat/completions", json={"messages": []})
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "model")
    large = await asked.post("/v1/chat/completions", content=b'{"x":"' + b"a" * 33 * 2**20)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "E4130")
    packed = await asked.post("/v1/embeddings", content=b"x", headers={"Content-Encoding": "gzip"})
    assert "Content-Encoding" in packed.json()["error"]["message"]


async def test_a_key_may_ask_only_what_it_is_limited_to(registry: Dispatching, start_openai: StartStub) -> None:
    stub = start_openai()
    await serve(registry, stub, "allowed")
    await serve(registry, stub, "other")
    await add(registry.client, "aliases", alias="fast", model="other")
    await add_mapping(registry.client, "agent/chat/v", "other")
    keys = {}
    for name in ("allowed", "fast", "agent"):
        keys[name] = await _key(registry, name)

    async def status(key: str, model: str) -> int:
        headers = {"Authorization": f"Bearer {keys[key]}"}
        body = {"model": model, "messages": HELLO}
        return (await registry.client.post("/v1/chat/completions", json=body, headers=headers)).status_code

    allowed = {"allowed": ("allowed", "at_allowed/allowed"), "fast": ("fast",), "agent": ("agent", "agent/chat")}
    for key, models in allowed.items():
        for model in ("allowed", "at_allowed/allowed", "other", "fast", "agent", "agent/chat"):
            assert await status(key, model) == (200 if model in models else 403), (key, model)
    assert len(stub.asked) == 5


async def test_the_scope_is_judged_before_the_body_and_reading_keys_do_not_do(registry: Dispatching) -> None:
    for key, expected in ((None, 401), ("nobody's", 401), (await _key(registry, None, "read"), 403)):
        headers = {"Authorization": f"Bearer {key}"} if key else {"Authorization": ""}
        answer = await registry.client.post("/v1/chat/completions", content=b"no JSON", headers=headers)
        assert answer.status_code == expected
        assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_other_methods_and_paths_are_refused(registry: Dispatching) -> None:
    wrong = await registry.client.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "E4050")
    assert (await registry.client.post("/v1/audio/voices", json={})).status_code == 404


async def test_what_can_be_asked_now_is_listed_where_that_is_wanted(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub, start_replica: Any
) -> None:
    await serve(registry, start_openai(), "there")
    await add(registry.client, "aliases", alias="fast", model="there")
    gone = start_openai()
    await serve(registry, gone, "gone")
    await serve(registry, gone, "keyless", api_key_env_var="NOT_SET_API_KEY")
    gone.stop()

    async def listed(**query: Any) -> list[str]:
        return [model.id async for model in client.models.list(extra_query=query)]

    assert await listed() == ["fast", "gone", "keyless", "there"]
    assert await listed(available="true") == ["fast", "gone", "there"]

    async def is_known() -> bool:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gone", messages=HELLO)
        return await listed(available="true") == ["fast", "there"]

    await until(is_known)
    assert await listed(available="false") == await listed()
    dispatching_alone = await start_replica(MODEL_REGISTRY_ROLE="dispatch")
    answer = await dispatching_alone.client.get("/v1/models")
    assert [model["id"] for model in answer.json()["data"]] == ["fast", "gone", "there"]


async def _everything(client: openai.AsyncOpenAI, model: str) -> list[Any]:
    """The answers to one request of each kind."""
    reranked: Any = {"model": model, "query": "q", "documents": ["d"]}
    return [
        await client.chat.completions.create(model=model, messages=HELLO, temperature=0.0, seed=2**62),
        await client.chat.completions.create(model=model, messages=HELLO, tools=[TOOL]),
        await client.completions.create(model=model, prompt="hello"),
        await client.embeddings.create(model=model, input=["a", "b"], encoding_format="float"),
        await client.responses.create(model=model, input="hello"),
        await client.audio.transcriptions.create(model=model, file=("a.wav", b"RIFF" * 1000)),
        (await client.audio.speech.create(model=model, voice="x", input="hello")).content,
        await client.post("/rerank", cast_to=object, body=reranked),
    ]


async def _key(registry: Dispatching, service: str | None, scope: str = "dispatch") -> str:
    """Make a key."""
    secret = new_secret()
    row = {"name": f"{scope} {service}", "key_hash": hash_of(secret), "scopes": [scope]}
    row |= {"services": [service]} if service else {}
    key = Operation("api_keys", "insert", str(uuid.uuid4()), row)
    await registry.replica.state.registry.write([key], actor="test")
    return secret


async def test_an_address_that_leads_back_to_the_registry_or_to_cloud_metadata_is_not_asked(
    registry: Dispatching, client: openai.AsyncOpenAI, start_openai: StartStub
) -> None:
    stub = start_openai()
    await serve(registry, stub, "itself", api_base=f"http://127.0.0.1:{registry.port}/v1")
    await serve(registry, stub, "metadata", api_base="http://169.254.169.254/v1")

    for model, status in (("itself", 508), ("metadata", 503)):
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=model, messages=HELLO)
        assert refused.value.status_code == status
    assert "the metadata service of a cloud" in refused.value.message
