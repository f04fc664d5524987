"""How clients send requests: retries where these help, and cached responses while the registry is unavailable."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry import errors
from model_registry.catalog.views import AliasRef, ModelView
from model_registry.client import AsyncClient, Client, RetryPolicy
from model_registry.client.requests import Call
from model_registry.client.rows import AliasOfModel, CatalogModel
from model_registry.errors import AlreadyExists, RegistryError, RegistryUnreachable

Answer = httpx.Response | Exception

QUICK = RetryPolicy(answer=1, connect=1, attempts=3, first_pause=0, longest_pause=0)
PROVIDER = {"id": "1", "name": "lab", "type": "ollama"}
CALL = Call("GET", "/", len)
LIST = {"items": [PROVIDER], "count": 1}


class Server:
    """Returns the given responses in turn, then the last one again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **more: Any) -> Client:
        return Client("http://registry", **{"patience": QUICK, "transport": httpx.MockTransport(self), **more})


def said(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=LIST if body is None else body, headers=headers)


AWAY: list[Answer] = [said(502), said(503), said(504), httpx.ConnectError("refused"), httpx.ReadTimeout("slow")]


@pytest.mark.parametrize("away", AWAY, ids=repr)
def test_reading_is_tried_again(away: Answer) -> None:
    server = Server(away, said())

    assert [p.name for p in server.client().list_providers()] == ["lab"]
    assert len(server.asked) == 2


def test_attempts_end() -> None:
    server = Server(httpx.ConnectError("refused"))

    with pytest.raises(RegistryUnreachable, match="No registry answers at http://registry"):
        server.client().list_providers()
    assert len(server.asked) == 3


@pytest.mark.parametrize("away", AWAY, ids=repr)
def test_what_may_have_been_done_is_not_done_twice(away: Answer) -> None:
    server = Server(away)
    client = server.client()

    with pytest.raises(RegistryError):
        client.create_provider(name="lab")
    with pytest.raises(RegistryError):
        client.change_provider("lab", active=False)
    assert len(server.asked) == 2


def test_what_was_not_done_for_there_were_too_many_is_tried_again() -> None:
    server = Server(said(429), said(201, PROVIDER))

    assert server.client().create_provider(name="lab").name == "lab"


def test_questions_that_are_posted_are_repeated_too() -> None:
    server = Server(said(503), said(body={"ranked": []}))

    assert server.client().select_models(constraints={"capabilities": ["vision"]}) == {"ranked": []}
    assert json.loads(server.asked[1].content) == {"constraints": {"capabilities": ["vision"]}}


@pytest.mark.parametrize(("given", "seconds"), [("7", 7.0), ("900", 30.0), ("soon", None), (None, None)])
def test_a_registry_says_when_to_come_back(given: str | None, seconds: float | None) -> None:
    patience = RetryPolicy(first_pause=1, longest_pause=30)
    answer = httpx.Response(503, headers={} if given is None else {"Retry-After": given})
    pause = patience.pause(CALL, answer, 1)

    assert pause == seconds if seconds is not None else 1 <= (pause or 0) <= 2


def test_pauses_grow_and_end() -> None:
    patience = RetryPolicy(first_pause=1, longest_pause=3, attempts=4)

    pauses = [patience.pause(CALL, None, attempt) for attempt in (1, 2, 3, 4)]

    assert 1 <= (pauses[0] or 0) <= 2 <= (pauses[1] or 0) <= 3
    assert pauses[2:] == [3, None]


def test_what_has_not_changed_does_not_come_twice() -> None:
    server = Server(said(ETag='"a"'), httpx.Response(304), said(body={"items": [], "count": 0}, ETag='"b"'))
    client = server.client()

    first, second, third = client.list_providers(), client.list_providers(), client.list_providers()

    assert [r.headers.get("if-none-match") for r in server.asked] == [None, '"a"', '"a"']
    assert (first, third) == (second, [])
    first.clear()
    assert second, "each caller has a list of its own"


def test_other_questions_have_other_answers() -> None:
    server = Server(said(body={"items": []}, ETag='"a"'))
    client = server.client()

    client.list_models(capability=["vision", "streaming"], active=True, provider=None)
    client.list_models(limit=3)

    assert server.asked[0].url.query == b"capability=vision&capability=streaming&active=true&offset=0"
    assert "if-none-match" not in server.asked[1].headers


def test_references_may_hold_anything() -> None:
    server = Server(said(204))

    server.client().delete_model("a/b:c d?é", etag='"x"')

    assert server.asked[0].url.raw_path == b"/api/models/a%2Fb%3Ac%20d%3F%C3%A9"
    assert server.asked[0].headers["if-match"] == '"x"'


def test_with_the_registry_away_the_last_answer_is_used_and_its_age_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(said(ETag='"a"'), httpx.ConnectError("refused"))
    client = server.client(cache_dir=tmp_path)
    fresh = client.list_providers()
    assert client.stale_seconds is None

    with caplog.at_level(logging.WARNING):
        assert client.list_providers() == fresh

    assert client.stale_seconds is not None
    assert "registry cannot be reached (refused)" in caplog.text
    with pytest.raises(RegistryUnreachable):
        client.list_models()


def test_the_last_answer_is_there_after_a_restart_and_is_asked_for_with_its_tag(tmp_path: Path) -> None:
    Server(said(ETag='"a"')).client(cache_dir=tmp_path).list_providers()

    offline = Server(httpx.ConnectError("refused")).client(cache_dir=tmp_path)
    assert [p.name for p in offline.list_providers()] == ["lab"]

    server = Server(httpx.Response(304))
    assert [p.name for p in server.client(cache_dir=tmp_path).list_providers()] == ["lab"]
    assert server.asked[0].headers["if-none-match"] == '"a"'


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense\nx", b'{"key": "another", "etag": "x"}\n{}'])
def test_a_damaged_copy_is_none(tmp_path: Path, content: bytes) -> None:
    Server(said(ETag='"a"')).client(cache_dir=tmp_path).list_providers()
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)

    with pytest.raises(RegistryUnreachable):
        Server(httpx.ConnectError("refused")).client(cache_dir=tmp_path).list_providers()


def test_a_directory_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert Server(said(ETag='"a"')).client(cache_dir=tmp_path / "file").list_providers()


def test_what_the_registry_says_of_its_own_age_is_passed_on() -> None:
    client = Server(httpx.Response(200, json=LIST, headers={"X-Registry-Stale": "12"})).client()
    client.list_providers()

    assert client.stale_seconds == 12.0


def _tree(kind: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


@pytest.mark.parametrize("kind", list(_tree()), ids=lambda kind: kind.__name__)
def test_errors_are_those_of_the_registry(kind: type[RegistryError]) -> None:
    problem = {"code": kind.code, "detail": "why", "reasons": [{"where": "name", "message": "bad"}]}

    with pytest.raises(kind) as caught:
        Server(said(422, problem)).client().create_model(name="m")

    assert type(caught.value) is kind
    assert (caught.value.message, [str(r) for r in caught.value.reasons]) == ("why", ["name: bad"])


CHOICES: dict[str, Any] = {
    "matches": [{"id": "1", "label": "qwen at lab"}, {"id": "2", "label": "qwen at hub"}],
    "referrers": ["alias best"],
    "allowed": ["active", "draining"],
    "oldest": 3,
    "newest": 9,
}


def test_the_choices_in_a_problem_reach_the_caller() -> None:
    problem = {"code": "E4091", "detail": "It fits 2 rows.", **CHOICES, "storage": "not for clients"}

    with pytest.raises(errors.AmbiguousName) as caught:
        Server(said(409, problem)).client().get_model("qwen")

    assert caught.value.data == CHOICES


NO_REGISTRIES = [
    *(said(404, "no"), httpx.Response(500, text="<html>"), said(200, []), said(200, {}), said(200, {"items": 1})),
    *(said(422, {"code": ["E4005"]}), said(422, {"code": {}}), said(200, {"items": [[]]})),
    *(httpx.Response(status, content=b"[" * 100_000) for status in (200, 422)),
]


@pytest.mark.parametrize("answer", NO_REGISTRIES, ids=lambda answer: f"{answer.status_code} {answer.text[:20]}")
def test_what_is_no_registry_is_said(answer: httpx.Response) -> None:
    with pytest.raises(RegistryUnreachable):
        Server(answer).client().list_providers()


@pytest.mark.parametrize("odd", [{"reasons": 5}, {"reasons": {"a": 1}}, {"reasons": [1, None]}, {"detail": [1]}])
def test_an_odd_problem_is_still_the_error_of_its_code(odd: dict[str, Any]) -> None:
    with pytest.raises(errors.NotFound):
        Server(said(404, {"code": "E4004", "detail": "why", **odd})).client().get_provider("lab")


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(RegistryUnreachable):
        Client("http://[nonsense", patience=QUICK).list_providers()


def test_what_a_newer_registry_says_is_read_as_far_as_we_understand_it() -> None:
    row = {"id": "1", "provider_id": "p", "name": "m", "model_id": "m", "parameters": "many", "wings": 2}
    row |= {"quantization": {"method": "2bit"}, "max_output_tokens": 5}

    model = Server(said(body=row)).client().get_model("m")

    assert (model.name, model.max_output_tokens, model.parameters, model.quantization) == ("m", 5, None, None)


def test_the_shapes_of_the_client_are_those_of_the_service() -> None:
    assert CatalogModel.model_fields.keys() == ModelView.model_fields.keys()
    assert AliasOfModel.model_fields.keys() == AliasRef.model_fields.keys()


def operations(client: type) -> dict[str, inspect.Signature]:
    """The public methods of a client that ask the registry something, with their signatures."""
    # Those that yield are an iterator of one kind or the other.
    own = {"on_change", "carry_out", "new_core", "close", "follow_job"}
    methods = {name: value for name, value in inspect.getmembers(client, inspect.isfunction) if name[0] != "_"}
    return {name: inspect.signature(method) for name, method in methods.items() if name not in own}


def test_both_clients_have_the_same_methods_with_explicit_parameters() -> None:
    blocking, awaited = operations(Client), operations(AsyncClient)

    assert blocking == awaited
    assert len(blocking) > 45
    for name, signature in blocking.items():
        for parameter in list(signature.parameters.values())[1:]:
            assert parameter.kind is not inspect.Parameter.VAR_POSITIONAL, name
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                assert re.fullmatch(r"Unpack\[\w+Fields\]", parameter.annotation), name
            assert parameter.annotation not in {"Any", inspect.Parameter.empty}, name
        assert "Call" not in signature.return_annotation, name
        assert "Any" not in signature.return_annotation, name


def test_help_shows_what_a_method_takes_and_returns(capsys: pytest.CaptureFixture[str]) -> None:
    for client in (Client, AsyncClient):
        help(client)
        text = re.sub("\x08.", "", capsys.readouterr().out)

        taken = "create_model(self, fields: 'Mapping[str, Any] | None' = None, **more: 'Unpack[ModelFields]')"
        assert f"{taken} -> 'CatalogModel'" in text
        assert "list_providers(self, *, type: 'str | None' = None, active: 'bool | None' = None" in text
        assert "Add a model. Errors: InvalidModel" in text


async def test_both_clients_do_the_same_things() -> None:
    async with AsyncClient("http://registry", transport=httpx.MockTransport(Server(said())), patience=QUICK) as client:
        providers = await client.list_providers()
        with pytest.raises(RegistryUnreachable):
            await client.get_provider("lab")
    with Server(said()).client() as blocking:
        assert providers == blocking.list_providers()


async def test_an_asynchronous_client_does_not_block_while_it_waits() -> None:
    server = Server(httpx.Response(503, headers={"Retry-After": "1"}), said())
    patience = RetryPolicy(attempts=2, longest_pause=0.05)
    async with AsyncClient("http://registry", transport=httpx.MockTransport(server), patience=patience) as client:
        asking = asyncio.create_task(_first(client.list_providers))
        await asyncio.sleep(0)
        assert not asking.done()
        assert (await asking)[0].name == "lab"


async def _first(ask: Callable[[], Any]) -> Any:
    return await ask()


def test_conflicts_are_told_apart() -> None:
    problem = {"code": errors.AlreadyExists.code, "detail": "there"}
    with pytest.raises(AlreadyExists):
        Server(said(409, problem)).client().create_provider(name="lab")
