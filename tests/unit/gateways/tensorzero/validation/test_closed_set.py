"""What is staged for a check is a closed set: files, references of schemas, and text quoted in messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli

from model_registry.gateways.tensorzero.project import normalised
from model_registry.gateways.tensorzero.reading.file_references import surveyed
from model_registry.gateways.tensorzero.rules.files import schema_problems
from model_registry.gateways.tensorzero.validation.dummy_credentials import QUIET
from model_registry.gateways.tensorzero.validation.gateway_process import LONGEST, Quoter
from model_registry.gateways.tensorzero.validation.staging import staged
from model_registry.gateways.tensorzero.validation.validate import check_project

FUNCTION = (
    '[functions.f]\ntype = "json"\noutput_schema = "s.json"\n[functions.f.variants.v]\ntype = "chat_completion"\n'
    'model = "openai::x"\njson_mode = "strict"\n'
)
PROVIDER = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "no name"),
        (".", "no name"),
        ("a/", "no name"),
        ("/etc/passwd", "absolute"),
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("\ud800", "control character"),
        ("a\\b", "backslash"),
        ("x" * 256, "too long"),
        ("ü" * 128, "too long"),
        ("/".join("abcdefgh" for _ in range(33)), "too deep"),
    ],
)
def test_a_name_that_leaves_the_project_is_refused_and_named(name: str, words: str) -> None:
    findings = check_project({"t.toml": b"", name: b""}, None, configuration=["t.toml"])
    (fault,) = findings.faults
    assert words in fault.message
    assert fault.where == name.encode("utf-8", "replace").decode()[:100] + "…" * (len(name) > 100)


@pytest.mark.parametrize(
    ("names", "where"),
    [
        (["a", "a/b"], "a"),
        (["A", "a/b/c"], "A"),
        (["x.txt", "X.TXT"], "X.TXT"),
        (["x", "./x"], "./x"),
        (["é", "e\u0301"], "e\u0301"),
    ],
)
def test_names_that_some_file_system_cannot_hold_together_are_refused(names: list[str], where: str) -> None:
    _, reasons = normalised(dict.fromkeys(names, b""))
    assert [reason.where for reason in reasons] == [where]


def test_names_are_made_simple() -> None:
    assert normalised({"./a//b": b"1", "c": b""}) == ({"a/b": b"1", "c": b""}, [])
    assert check_project({"./t.toml": FUNCTION.encode(), "s.json": b"{}"}, None, configuration=["t.toml"]).accepted


@pytest.mark.parametrize("configuration", ["/proc/self/environ", "*.toml", "../t.toml", "", "t.toml\0"])
def test_the_configuration_is_one_of_the_files(configuration: str) -> None:
    findings = check_project({"t.toml": b""}, None, configuration=[configuration])
    assert "not among the files" in findings.faults[0].message


FINE: list[Any] = [
    {"$ref": "#/$defs/a", "$defs": {"a": {"$anchor": "x"}}, "properties": {"b": {"$ref": "#x"}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/s.json"},
    {"properties": {"$ref": {"type": "string"}, "id": {"type": "string"}}},
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    True,
]
LEAD_OUTSIDE: list[tuple[Any, str]] = [
    ({"$ref": "file:///etc/passwd"}, "/$ref"),
    ({"$ref": "FILE:/etc/passwd"}, "/$ref"),
    ({"$ref": "other.json"}, "/$ref"),
    ({"$ref": ""}, "/$ref"),
    ({"$ref": " #/a"}, "/$ref"),
    ({"$dynamicRef": "http://127.0.0.1/"}, "/$dynamicRef"),
    ({"$recursiveRef": "//host/x"}, "/$recursiveRef"),
    ({"$schema": "file:///etc/passwd"}, "/$schema"),
    ({"$id": "file:///etc/"}, "/$id"),
    ({"id": "/etc/"}, "/id"),
    ({"unknown": {"$id": "https://example.com/"}}, "/unknown/$id"),
    ({"properties": {"a/b": {"anyOf": [{"not": {"$ref": "file:///x"}}]}}}, "/properties/a~1b/anyOf/0/not/$ref"),
    ({"enum": [{"$ref": "file:///x"}]}, "/enum/0/$ref"),
]


@pytest.mark.parametrize("schema", FINE, ids=json.dumps)
def test_a_schema_may_refer_to_itself(schema: Any) -> None:
    assert schema_problems(json.dumps(schema).encode()) == ()


@pytest.mark.parametrize(("schema", "place"), LEAD_OUTSIDE, ids=lambda case: case if isinstance(case, str) else "")
def test_a_schema_that_leads_outside_is_refused_with_the_place_and_what_to_do(schema: Any, place: str) -> None:
    files = {"tensorzero.toml": FUNCTION.encode(), "s.json": json.dumps(schema).encode()}
    findings = check_project(files, None)
    (fault,) = findings.faults
    assert (fault.where, f"'s.json', at {place}: " in fault.message) == ("functions.f.output_schema", True)
    assert findings.unasked == "it would open what is not in the project"


@pytest.mark.parametrize("content", [b'{"$ref": "#", "$ref": "file:///x"}', b"[" * 5000, b"{", b'{"a": ' * 300 + b"1"])
def test_what_readers_may_read_differently_is_no_schema(content: bytes) -> None:
    assert schema_problems(content)


def test_credentials_on_the_gateways_machine_and_reserved_variables_are_put_aside(tmp_path: Path) -> None:
    text = (
        f'# path_from_env::HTTP_PROXY\n{PROVIDER}api_key_location = {{default = "path::/x", fallback = "env::LD_X"}}\n'
    )
    tree = tomli.loads(text)
    with staged({"t.toml": text.encode()}, {"t.toml": surveyed(tree)}, tmp_path, trusted=False) as project:
        written = tomli.loads(project.path.read_text())
        variables = project.variables
    assert written["models"]["m"]["providers"]["p"]["api_key_location"] == {
        "default": "path::service-account.json",
        "fallback": "env::PUT_ASIDE_LD_X",
    }
    assert variables["PUT_ASIDE_LD_X"] == "not-a-key"
    assert dict(variables) | dict(QUIET) == variables
    assert {word.partition("models")[2] for word in project.unasked} == {
        ".m.providers.p.api_key_location.default",
        ".m.providers.p.api_key_location.fallback",
    }


def test_a_name_with_a_pattern_in_it_means_itself(tmp_path: Path) -> None:
    with staged({"[a]*.toml": b""}, {"[a]*.toml": surveyed({})}, tmp_path, trusted=False) as project:
        assert project.path.name == "{[[]a[]][*].toml}"


def test_a_configuration_that_is_too_deep_is_refused() -> None:
    deep = ".".join("a" * 1 for _ in range(900)).encode() + b" = 1\n"
    assert "too deeply" in check_project({"t.toml": deep}, None).faults[0].message


QUOTER = Quoter({"t.toml": b'name = "my own words" # sk-mine-123', "a/b.json": b""}, "judged-abc")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("unknown field `zzz`, expected one of `type`, `api_key_location`",) * 2,
        ('"sk-somebody-elses" is not of types "boolean", "object"', '"…" is not of types "boolean", "object"'),
        ('"correcthorse" is not of type "object"', '"…" is not of type "object"'),
        ("cannot use sk-mine-123 here",) * 2,
        ("cannot use sk-yours-123 here", "cannot use … here"),
        ('says "my own words" twice',) * 2,
        ("in /tmp/gateway-x/judged-abc/project/a/b.json at line 3, column 14", "in a/b.json at line 3, column 14"),
        ("in judged-abc/project/a/b.json: no", "in a/b.json: no"),
        ("opens /home/somebody/.ssh/id_rsa", "opens …"),
        ("models.m: API key missing for provider OpenAI",) * 2,
        ("Deprecation Warning (#5298 / 2026.2+): We are", "Deprecation Warning (#5298 / 2026.2+): We are"),
        ("MIIBejCCAR+gAwIBAgIUVAiq1hcWg/iEWVc4lRBLcrWmJSYwCgYIKoZIzj0EAwIw", "…"),
    ],
)
def test_a_message_is_cut_to_what_its_reader_wrote(said: str, shown: str) -> None:
    assert QUOTER.message(said) == shown


def test_a_message_has_a_bound() -> None:
    assert len(QUOTER.message("word " * 100_000)) == LONGEST + 1
