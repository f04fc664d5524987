"""Reading projects: files merged as the gateway merges them, and every mistake named with its file, key and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import dotted, undotted
from model_registry.gateways.tensorzero.reading.file_references import FILE_KEYS
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_files, read_project
from model_registry.snapshot.snapshot import Snapshot
from support import paths

FIXTURES = paths.FIXTURES / "tensorzero"

PROVIDER = """
[models.m.providers.p]
type = "openai"
api_base = "http://server:9000/v1"
model_name = "x"
api_key_location = "none"
"""
MODEL = '[models.m]\nrouting = ["p"]\n' + PROVIDER
VARIANT = '[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "m"\n'
FUNCTION = '[functions.f]\ntype = "chat"\n' + VARIANT
STATIC = '[functions.f.experimentation]\ntype = "static"\n'

BROKEN = {
    "no TOML": ("[models", "", "not valid TOML"),
    "a key twice": ('[gateway]\nbind_address = "a"\nbind_address = "b"\n', "", "near 'bind_address'"),
    "an unknown section": ("[model.m]\n", "model", "no section"),
    "a section that is no table": ("models = 1", "models", "must be a table"),
    "a model that is no table": ("[models]\nm = 1", "models.m", "must be a table"),
    "an unquoted dot in a name": ('[models.qwen2.5]\nrouting = ["p"]', "models.qwen2", "routing"),
    "an unknown key of a model": (MODEL + "[models.m.timeout]\n", "models.m.timeout", "did you mean 'timeouts'"),
    "no routing": ("[models.m]\n" + PROVIDER, "models.m", "routing"),
    "an empty routing": ("[models.m]\nrouting = []\n" + PROVIDER, "models.m.routing", "empty"),
    "an unknown provider in the routing": (MODEL.replace('["p"]', '["p", "q"]'), "models.m.routing", "'q'"),
    "a provider twice in the routing": (MODEL.replace('["p"]', '["p", "p"]'), "models.m.routing", "more than once"),
    "no providers": ('[models.m]\nrouting = ["p"]', "models.m", "providers"),
    "an embedding model without its provider": (
        '[embedding_models.e]\nrouting = ["x"]\n',
        "embedding_models.e",
        "prov",
    ),
    "a reserved name": (MODEL.replace("models.m", 'models."openai::m"'), 'models."openai::m"', "keeps for itself"),
    "an unknown provider type": (MODEL.replace('"openai"', '"ollama"'), "models.m.providers.p.type", "must be one of"),
    "an unknown provider key": (MODEL + "api_bas = 1", "models.m.providers.p.api_bas", "did you mean 'api_base'"),
    "no model name": (MODEL.replace('model_name = "x"', ""), "models.m.providers.p", "model_name"),
    "a base URL that is none": (
        MODEL.replace("http://server:9000/v1", "server:9000"),
        "models.m.providers.p.api_base",
        "http://",
    ),
    "a password in a base URL": (
        MODEL.replace("http://server", "http://me:secret@server"),
        "models.m.providers.p.api_base",
        "no secrets",
    ),
    "a key instead of its place": (
        MODEL.replace('"none"', '"sk-abcdefghijklmnop"'),
        "models.m.providers.p.api_key_location",
        "where the key is",
    ),
    "a key instead of a variable": (
        MODEL.replace('"none"', '"env::sk_abcdefghijklmnop1234"'),
        "models.m.providers.p.api_key_location",
        "looks like a key itself",
    ),
    "no function type": ("[functions.f]\n" + MODEL + VARIANT, "functions.f.type", "chat or json"),
    "no variants": (MODEL + '[functions.f]\ntype = "chat"', "functions.f", "variants"),
    "empty variants": (MODEL + '[functions.f]\ntype = "chat"\nvariants = {}', "functions.f.variants", "empty"),
    "an unknown variant type": (
        MODEL + FUNCTION.replace("chat_completion", "chat_complete"),
        "functions.f.variants.v.type",
        "must be one of",
    ),
    "an unknown model": (FUNCTION, "functions.f.variants.v.model", "'m'"),
    "an embedding model in a variant": (
        MODEL.replace("models", "embedding_models") + FUNCTION,
        "functions.f.variants.v.model",
        "embedding model",
    ),
    "a negative weight": (MODEL + FUNCTION + "weight = -1", "functions.f.variants.v.weight", "negative"),
    "a weight that is nan": (MODEL + FUNCTION + "weight = nan", "functions.f.variants.v.weight", "nan"),
    "infinity in an extra body": (
        MODEL + FUNCTION + 'extra_body = [{ pointer = "/a", value = inf }]',
        "functions.f.variants.v.extra_body",
        "inf",
    ),
    "weights beside experimentation": (
        MODEL + FUNCTION + "weight = 1\n" + STATIC + 'candidate_variants = ["v"]',
        "functions.f.variants.v.weight",
        "experimentation",
    ),
    "an unknown candidate": (
        MODEL + FUNCTION + STATIC + 'candidate_variants = ["w"]',
        "functions.f.experimentation.candidate_variants",
        "'w'",
    ),
    "no candidate with a weight": (
        MODEL + FUNCTION + STATIC + "candidate_variants = { v = 0 }",
        "functions.f.experimentation.candidate_variants",
        "no variant could ever be used",
    ),
    "a json function without a JSON mode": (
        MODEL + FUNCTION.replace('"chat"', '"json"'),
        "functions.f.variants.v.json_mode",
        "missing",
    ),
    "a timeout of 0": (
        MODEL + "[models.m.timeouts]\nstreaming.ttft_ms = 0",
        "models.m.timeouts.streaming.ttft_ms",
        "is 0",
    ),
    "a template": (
        MODEL + FUNCTION + 'system_template = "t.minijinja"',
        "functions.f.variants.v.system_template",
        "refers to 't.minijinja'",
    ),
    "a schema": (
        MODEL + FUNCTION.replace("\n", '\nuser_schema = "s.json"\n', 1),
        "functions.f.user_schema",
        "'s.json'",
    ),
    "tool parameters": ('[tools.t]\ndescription = "T"\nparameters = "t.json"', "tools.t.parameters", "'t.json'"),
    "a template in place": (
        MODEL + FUNCTION + 'system_template = { content = "x" }',
        "functions.f.variants.v.system_template",
        "as a string",
    ),
    "too long a name": (MODEL.replace("models.m", f"models.{'m' * 301}"), f"models.{'m' * 301}", "300"),
    "a number that JSON cannot hold": (MODEL + FUNCTION + f"seed = {2**70}", "functions.f.variants.v.seed", "64 bits"),
}


def refused(text: str) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        plan_import(parse_project({"gateway/tensorzero.toml": text}), Snapshot.empty(), lambda: "id")
    return caught.value


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_is_named_with_its_file_key_and_reason(mistake: str) -> None:
    text, key, message = BROKEN[mistake]
    error = refused(text)
    where = f"gateway/tensorzero.toml: {key}" if key else "gateway/tensorzero.toml"
    found = [reason for reason in error.reasons if reason.where.startswith(where)]
    assert found, error.reasons
    assert any(message in reason.message for reason in found), found
    assert "secret" not in str(error).replace("no secrets", "")


def test_a_good_project_is_not_refused() -> None:
    assert parse_project({"t.toml": MODEL + FUNCTION}).table("models").keys() == {"m"}


def test_all_mistakes_are_named_at_once() -> None:
    text = MODEL.replace('["p"]', '["p", "q"]') + FUNCTION.replace('"m"', '"n"') + "weight = -1\n"
    error = refused(text)
    assert len(error.reasons) == 3
    assert "3 problems" in error.message


def test_a_credential_that_is_written_out_is_not_repeated() -> None:
    error = refused(MODEL.replace('"none"', '"sk-abcdefghijklmnop"'))
    assert "sk-abc" not in error.message + str(error.reasons)


def test_every_key_that_names_a_file_is_known() -> None:
    assert len(set(FILE_KEYS)) == 59


def test_files_are_merged_table_by_table() -> None:
    project = parse_project({"a.toml": MODEL + '[functions.f]\ntype = "chat"', "b.toml": VARIANT})
    assert project.table("functions")["f"]["variants"].keys() == {"v"}
    assert project.locate(("functions", "f", "variants", "v", "model")) == "b.toml: functions.f.variants.v.model"
    assert project.locate(("models", "m")) == "a.toml: models.m"


def test_a_mistake_is_looked_for_in_the_file_that_made_it() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_project({"a.toml": MODEL + '[functions.f]\ntype = "chat"', "b.toml": VARIANT + "weight = -1"})
    assert [reason.where for reason in caught.value.reasons] == ["b.toml: functions.f.variants.v.weight"]


@pytest.mark.parametrize("again", [MODEL, 'models.m.routing = ["p"]', "models.m = 3", "models = 3"])
def test_a_key_in_two_files_is_refused_with_both(again: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_project({"a.toml": MODEL, "b.toml": again})
    assert all(r.where.startswith("b.toml: models") and "a.toml" in r.message for r in caught.value.reasons)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1979-05-27T07:32:00Z", "1979-05-27T07:32:00Z"),
        ("1979-05-27T00:32:00.500-07:00", "1979-05-27T00:32:00.5-07:00"),
        ("1979-05-27 07:32:00", "1979-05-27T07:32:00"),
        ("1979-05-27", "1979-05-27"),
        ("07:32:00.000", "07:32:00"),
    ],
)
def test_dates_and_times_become_strings(written: str, read: str) -> None:
    project = parse_project({"t.toml": MODEL + FUNCTION + f'extra_body = [{{ pointer = "/a", value = {written} }}]'})
    assert project.table("functions")["f"]["variants"]["v"]["extra_body"][0]["value"] == read


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistakes() -> None:
    assert parse_project({"t.toml": "\ufeff" + MODEL.replace("\n", "\r\n")}).table("models").keys() == {"m"}


@pytest.mark.parametrize("path", [("a", "b"), ("models", "qwen2.5:7b", "x/y z"), ("", 'say "x"', "日本", "a\nb")])
def test_a_dotted_key_can_be_read_back(path: tuple[str, ...]) -> None:
    assert undotted(dotted(path)) == path


# From disk -----------------------------------------------------------------------------------------------------------


def test_a_directory_stands_for_its_toml_files_without_those_of_other_tools() -> None:
    _, configuration = read_files([FIXTURES / "split"])
    assert set(configuration) == {"models.toml", "functions/shared.toml"}


def test_a_glob_and_a_list_of_files_stand_for_the_same_project() -> None:
    by_glob = read_project([f"{FIXTURES}/split/**/[ms]*.toml"])
    by_list = read_project([FIXTURES / "split" / "models.toml", FIXTURES / "split" / "functions" / "shared.toml"])
    assert by_glob.tree == by_list.tree
    assert by_glob.texts.keys() == {"models.toml", "functions/shared.toml"}


def test_one_file_goes_by_its_name() -> None:
    texts, _ = read_files([FIXTURES / "agents" / "tensorzero.toml"])
    assert texts.keys() == {"tensorzero.toml"}


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe4"')
    (tmp_path / "empty").mkdir()
    for path, message in {
        "missing.toml": "no such file",
        "*.tml": "no file matches",
        "empty": "no TOML file",
        "latin.toml": "not UTF-8",
    }.items():
        with pytest.raises(InvalidConfiguration, match=message) as caught:
            read_project([tmp_path / path])
        assert path in caught.value.reasons[0].where
