"""`model-registry knowledge ...`: what is fetched, what is sent to the registry, and what is printed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry.errors import SourceUnreadable
from model_registry.imports.sources.fetch import fetch_json
from support.commands import Run, answer_with, run_command

VIEW = {
    "name": "gpt",
    "model_id": "gpt-4o",
    "provider_id": "p",
    "provider_name": "openai",
    "provider_type": "openai",
    "api_base": None,
    "api_key_env_var": "OPENAI_API_KEY",
    "model_type": "chat",
    "capabilities": ["chat", "function_calling"],
    "context_length": 128000,
    "max_output_tokens": None,
    "cost_per_1m_input_tokens": 0.15,
    "cost_per_1m_output_tokens": None,
    "cost_per_1m_cached_input_tokens": None,
    "routing_priority": 0,
    "offered": True,
    "id": "m",
}
ENTRY = {"action": "created", "kind": "model", "provider": "p", "name": "a", "fields": [], "kept": {}, "reason": ""}


class World:
    """A registry, and every server that is asked, behind every URL."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "POST /api/models/import": {"dry_run": False, "revision": 7, "report": [ENTRY]},
            "GET /api/models": {"items": [VIEW, VIEW | {"name": "off", "offered": False}], "count": 2},
            "GET /api/providers": {"items": [{"id": "p", "tensorzero": {}}], "count": 1},
        }
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path}", httpx.Response(404))
        if isinstance(answer, Models):
            return answer(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def sent(self) -> dict[str, Any]:
        (request,) = [request for request in self.asked if request.url.path == "/api/models/import"]
        body: dict[str, Any] = json.loads(request.content)
        return body


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    answer_with(monkeypatch, found)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, world: World) -> Run:  # noqa: ARG001 (nothing real is asked)
    return partial(run_command, monkeypatch, "knowledge")


@pytest.fixture
def price_map(tmp_path: Path) -> str:
    entry = {"mode": "chat", "input_cost_per_token": 1.5e-07}
    document = {"gpt": entry | {"litellm_provider": "openai"}, "groq/x": entry | {"litellm_provider": "groq"}}
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(document | {"sample_spec": {}}))
    return str(path)


def test_a_price_map_from_a_file_or_a_url(run: Run, world: World, price_map: str, capsys: Any) -> None:
    assert run("import", "litellm", price_map) == 0
    assert [offer["model_id"] for offer in world.sent()["offers"]] == ["gpt", "x"]
    assert world.sent()["source"] == "litellm"
    assert "1 created, 0 changed, 0 unchanged, 0 skipped, 1 passed over" in capsys.readouterr().out

    world.asked.clear()
    world.answers["GET /prices"] = json.loads(Path(price_map).read_text())
    assert (
        run("import", "litellm", "https://example.org/prices", "--only", "groq", "--provider", "fast", "--dry-run") == 0
    )
    assert [(offer["provider"], offer["model_id"]) for offer in world.sent()["offers"]] == [("fast", "x")]
    assert dict(world.asked[-1].url.params) == {"dry_run": "true"}
    assert "Nothing was written" in capsys.readouterr().out


def test_numbers_that_are_none_pass_over_their_model_only(run: Run, world: World, tmp_path: Path, capsys: Any) -> None:
    chat = '"mode": "chat", "litellm_provider": "openai"'
    file = tmp_path / "prices.json"
    file.write_text(f'{{"a": {{{chat}, "input_cost_per_token": NaN}}, "b": {{{chat}, "rpm": 1e999}}, "c": {{{chat}}}}}')
    assert run("import", "litellm", str(file)) == 4
    assert [offer["model_id"] for offer in world.sent()["offers"]] == ["c"]
    assert "a: input_cost_per_token is not a number of dollars: NaN" in capsys.readouterr().out

    world.asked.clear()
    listed = (
        '{"data": [{"id": "d", "max_model_len": '
        + "9" * 5000
        + '}, {"id": "a", "pricing": {"prompt": 1e999}}, {"id": "b", "max_model_len": 1e999}, '
        + '{"id": "e", "max_model_len": NaN}, {"id": "c"}]}'
    )
    world.answers["GET /v1/models"] = httpx.Response(200, text=listed)
    assert run("import", "openai", "http://h/v1", "--provider", "v") == 4
    assert [offer["model_id"] for offer in world.sent()["offers"]] == ["c"]
    out = capsys.readouterr().out
    assert "d: holds nan or infinity" in out
    assert "e: holds nan or infinity" in out
    assert "a: pricing.prompt is not a number of dollars: Infinity" in out


def test_a_training_service_or_a_file_with_its_models(run: Run, world: World, tmp_path: Path, capsys: Any) -> None:
    world.answers["GET /models/list"] = {"framework": "timm", "models": [{"model_name": "a/b"}, {"tags": []}]}
    assert run("import", "training", "http://timm:8001/") == 4
    (offer,) = world.sent()["offers"]
    assert (offer["provider"], offer["api_base"], offer["model_id"]) == ("training", "http://timm:8001", "a/b")
    assert offer["provider_suggested"] is True
    assert "row 2: model_name: is required" in capsys.readouterr().out

    world.asked.clear()
    (tmp_path / "models.json").write_text('{"timm": {"a": {}}, "other": {"b": {}}}')
    assert run("import", "training", str(tmp_path / "models.json"), "--framework", "timm", "--provider", "mine") == 0
    (offer,) = world.sent()["offers"]
    assert (offer["provider"], offer["model_id"], world.sent()["source"]) == ("mine", "a", "training")
    assert "is of another framework than timm (other/b)" in capsys.readouterr().out


def test_a_provider_is_one_of_litellms(run: Run, price_map: str) -> None:
    assert run("import", "litellm", price_map, "--provider", "mine") == 2


def test_an_ollama_server_is_asked_for_every_model(run: Run, world: World) -> None:
    world.answers |= {
        "GET /api/tags": {"models": [{"name": "a"}, {"name": "b"}]},
        "POST /api/show": {"capabilities": []},
    }
    assert run("import", "ollama", "http://gpu:11434/v1", "--provider", "gpu", "--activate", "--only-existing") == 0
    shown = [json.loads(r.content) for r in world.asked if r.url.path == "/api/show"]
    assert shown == [{"model": "a"}, {"model": "b"}]
    sent = world.sent()
    assert [(o["provider"], o["api_base"]) for o in sent["offers"]] == [("gpu", "http://gpu:11434/v1")] * 2
    assert (sent["activate"], sent["only_existing"]) == (True, True)


@pytest.mark.parametrize("url", ["gpu:11434", "http://gpu:11434/api/", "http://gpu:11434/v1/"])
def test_an_ollama_server_is_found_however_its_url_is_written(url: str, run: Run, world: World) -> None:
    world.answers |= {"GET /api/tags": {"models": [{"name": "a"}]}, "POST /api/show": {}}
    assert run("import", "ollama", url) == 0
    assert [offer["api_base"] for offer in world.sent()["offers"]] == ["http://gpu:11434/v1"]


@pytest.mark.parametrize("command", [["ollama", "0.0.0.0:1"], ["openai", "http://[::]:1/v1", "--provider", "p"]])
def test_a_url_that_gateways_cannot_use_is_refused_with_what_to_write(
    command: list[str], run: Run, world: World, capsys: Any
) -> None:
    assert run("import", *command) == 2
    assert "write the name by which gateways reach it" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not world.asked


def test_a_name_that_nobody_gave_is_only_suggested_and_another_one_that_is_meant_is_said(
    run: Run, world: World, capsys: Any
) -> None:
    world.answers |= {"GET /api/tags": {"models": [{"name": "a"}]}, "POST /api/show": {}}
    assert run("import", "ollama", "http://gpu:11434") == 0
    assert [(o["provider"], o["provider_suggested"]) for o in world.sent()["offers"]] == [("ollama", True)]
    assert "is the address of" not in capsys.readouterr().out
    world.asked.clear()
    assert run("import", "ollama", "http://gpu:11434", "--provider", "mine") == 0
    assert "http://gpu:11434/v1 is the address of p: its models are there, not at mine." in capsys.readouterr().out
    assert "provider_suggested" not in world.sent()["offers"][0]


def test_a_server_says_what_it_is(run: Run, world: World) -> None:
    for owner, kind in {"sglang": "sglang", "vllm": "vllm", "acme": "openai_compatible"}.items():
        world.answers["GET /v1/models"] = {"data": [{"id": "m", "owned_by": owner}]}
        world.asked.clear()
        assert run("import", "openai", "http://h:8000/v1", "--provider", "p") == 0
        assert world.sent()["offers"][0]["provider_type"] == kind


class Models:
    """A server of models, some of which answer oddly: `POST /api/show` by the model's name."""

    def __init__(self, shown: dict[str, Any]) -> None:
        self.shown = shown

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.shown[json.loads(request.content)["model"]]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def test_a_model_that_an_ollama_server_cannot_show_is_named_and_the_others_are_imported(
    run: Run, world: World, tmp_path: Path, capsys: Any
) -> None:
    shown = {
        "a": {"capabilities": []},
        "gone": httpx.Response(404, json={"error": "model 'gone' not found"}),
        "broken": httpx.Response(500, text="<html>"),
        "no-json": httpx.Response(200, text="<html>"),
        "a-list": [1],
        "z": {"capabilities": []},
    }
    world.answers |= {
        "GET /api/tags": {"models": [{"name": name} for name in shown]},
        "POST /api/show": Models(shown),
    }
    report = tmp_path / "report.json"

    assert run("import", "ollama", "http://gpu:11434", "--provider", "gpu", "--report", str(report)) == 4

    assert [offer["model_id"] for offer in world.sent()["offers"]] == ["a", "z"]
    printed = capsys.readouterr().out
    assert "Could not be read (4)" in printed
    assert "gone: http://gpu:11434/api/show cannot be read: it answers 404" in printed
    assert "4 not read" in printed
    unread = [one["name"] for one in json.loads(report.read_text())["unread"]]
    assert sorted(unread) == ["a-list", "broken", "gone", "no-json"]


def test_a_server_that_shows_no_model_is_not_asked_for_all_of_them(run: Run, world: World, capsys: Any) -> None:
    world.answers["GET /api/tags"] = {"models": [{"name": f"m{number}"} for number in range(300)]}

    assert run("import", "ollama", "http://gpu:11434") == 3

    assert len(world.asked) == 11
    said = capsys.readouterr()
    assert "Could not be read (300)" in said.out
    assert "m0: http://gpu:11434/api/show" in said.err


def test_a_model_that_the_hub_does_not_answer_for_is_named_and_the_others_are_imported(
    run: Run, world: World, capsys: Any
) -> None:
    world.answers |= {
        "GET /api/models/Org/A-1B": {"pipeline_tag": "text-generation"},
        "GET /api/models/Org/Gated-1B": httpx.Response(401),
        "GET /api/models/Org/C-1B": {"pipeline_tag": "text-generation"},
        "GET /Org/C-1B/resolve/main/config.json": httpx.Response(503),
    }

    assert run("import", "huggingface", "Org/A-1B", "Org/Gated-1B", "Org/C-1B") == 4

    assert [offer["model_id"] for offer in world.sent()["offers"]] == ["Org/A-1B", "Org/C-1B"]
    printed = capsys.readouterr().out
    assert "Org/Gated-1B: https://huggingface.co/api/models/Org/Gated-1B cannot be read: it answers 401" in printed
    assert "Org/C-1B's config.json" in printed


def test_a_server_is_shown_the_key_that_a_variable_holds(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    world.answers["GET /v1/models"] = {"data": [{"id": "m", "max_model_len": 9}]}
    call = ("import", "openai", "http://h:8000/v1/", "--provider", "v", "--type", "vllm", "--key-variable", "SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert run(*call) == 3
    assert "SOME_KEY is not set" in capsys.readouterr().err
    monkeypatch.setenv("SOME_KEY", "secret")
    assert run(*call) == 0
    assert world.asked[0].headers["authorization"] == "Bearer secret"
    assert "secret" not in json.dumps(world.sent())
    assert world.sent()["offers"][0]["fields"] == {"model_type": "chat", "context_length": 9}


def test_models_of_the_hub_come_from_it_or_from_files(run: Run, world: World, tmp_path: Path) -> None:
    world.answers["GET /api/models/Org/M-8B"] = {"pipeline_tag": "text-generation"}
    assert run("import", "huggingface", "Org/M-8B") == 0
    assert "provider" not in world.sent()["offers"][0]
    assert world.sent()["offers"][0]["estimated"] == ["requirements"]

    world.asked.clear()
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "llama"}')
    assert run("import", "huggingface", "Org/M-8B", "--config", str(config), "--provider", "v") == 0
    assert len(world.asked) == 1
    assert world.sent()["offers"][0]["fields"]["base_architecture"] == "llama"
    assert run("import", "huggingface", "a", "b", "--config", str(config)) == 2


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("hf.co/Org/M-8B", "hf.co/Org/M-8B"),
        ("HuggingFace.co/Org/M-8B", "HuggingFace.co/Org/M-8B"),
        ("https://huggingface.co/Org/M-8B", "Org/M-8B"),
    ],
)
def test_a_model_of_the_hub_is_found_by_all_its_names(given: str, sent: str, run: Run, world: World) -> None:
    world.answers["GET /api/models/Org/M-8B"] = {"pipeline_tag": "text-generation"}
    assert run("import", "huggingface", given) == 0
    (offer,) = world.sent()["offers"]
    assert (offer["model_id"], offer["fields"]["urls"]) == (sent, {"huggingface": "https://huggingface.co/Org/M-8B"})


def test_the_sizes_of_files_are_asked_for_where_the_counts_leave_them_open(run: Run, world: World) -> None:
    files = [{"rfilename": "M-Q4_K_M.gguf", "size": 5_000_000_000}, {"rfilename": "M-Q8_0.gguf", "size": 8_500_000_000}]
    world.answers["GET /api/models/Org/M-8B-GGUF"] = {"gguf": {"total": 8_000_000_000}, "siblings": files}

    assert run("import", "huggingface", "Org/M-8B-GGUF") == 0
    assert [str(request.url.query, "ascii") for request in world.asked[:3]] == ["", "", "blobs=true"]
    assert "Org/M-8B-GGUF:Q4_K_M" in world.sent()["offers"][0]["left_out"]["requirements"]

    world.asked.clear()
    assert run("import", "huggingface", "Org/M-8B-GGUF:Q4_K_M", "--provider", "v") == 0
    (offer,) = world.sent()["offers"]
    assert (offer["model_id"], offer["fields"]["requirements"]) == ("Org/M-8B-GGUF:Q4_K_M", {"min_vram_gb": 6.0})


def test_a_table_has_the_source_that_is_named(run: Run, world: World, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("provider,model_id,parameters\np,m,8B\n")
    assert run("import", "csv", str(table), "--source", "our tests") == 0
    assert (world.sent()["source"], world.sent()["offers"][0]["fields"]) == ("our tests", {"parameters": "8B"})


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(500), 3),
        (httpx.Response(200, text="<html>"), 3),
        ({"models": []}, 1),
        (httpx.Response(200, json=[]), 3),
    ],
)
def test_a_source_that_cannot_be_read_or_says_nothing_ends_without_asking_the_registry(
    run: Run, world: World, answer: Any, code: int
) -> None:
    world.answers["GET /api/tags"] = answer
    assert run("import", "ollama", "http://gpu:11434") == code
    assert [request.url.path for request in world.asked] == ["/api/tags"]


def test_what_is_too_large_is_not_read_to_its_end(world: World) -> None:
    world.answers["GET /api/tags"] = {"models": ["x" * 100]}
    with pytest.raises(SourceUnreadable, match="answers with more than"):
        fetch_json("http://localhost:11434/api/tags", largest=10)


def test_the_report_is_short_on_screen_and_whole_in_its_file(
    run: Run, world: World, price_map: str, tmp_path: Path, capsys: Any
) -> None:
    kept = {"action": "unchanged", "kept": {"context_length": "set by hand"}}
    report = [
        ENTRY | {"kind": "provider", "name": "p"},
        *(ENTRY | {"provider": f"p{number}"} for number in range(30)),
        ENTRY | {"action": "changed", "fields": ["tags", "urls"]},
        *(ENTRY | kept | {"name": name} for name in ("b", "c\x1b[2J")),
        ENTRY | {"action": "skipped", "reason": "no\x1b good"},
    ]
    world.answers["POST /api/models/import"] = {"dry_run": False, "revision": 9, "report": report}
    file = tmp_path / "report.json"
    assert run("import", "litellm", price_map, "--report", str(file)) == 0
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "... and 10 more" in out
    assert "a at p: tags, urls" in out
    assert "context_length: set by hand (b and 1 more)" in out
    assert "30 created, 1 changed, 2 unchanged, 1 skipped, 1 passed over; 1 new provider; revision 9" in out
    assert len(json.loads(file.read_text())["report"]) == len(report)
    assert json.loads(file.read_text())["passed_over"] == [
        {"name": "sample_spec", "reason": "describes the map's format"}
    ]


def test_a_table_is_written_to_a_file_or_to_the_screen(run: Run, tmp_path: Path, capsys: Any) -> None:
    assert run("export", "csv") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].startswith("openai,openai,,gpt,gpt-4o,")
    file = tmp_path / "m.csv"
    assert run("export", "csv", "--all", "-o", str(file)) == 0
    assert len(file.read_text().splitlines()) == 3
