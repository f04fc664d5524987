"""Whole projects before the rules: files, several of them, old syntax, and reading again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.gateways.tensorzero.reading.parse import unchecked_project
from model_registry.gateways.tensorzero.reading.project_files import read_whole_project
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.tensorzero.rules.cached_rules import CachedParser, CachedRules
from model_registry.gateways.tensorzero.rules.deprecated import DEPRECATED, Deprecated, deprecated_syntax
from model_registry.gateways.tensorzero.validation.validate import check_project
from support.catalogues import stored

FUNCTION = b'[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "openai::x"\n'


def tree_of(pattern: tuple[str, ...], value: object, kind: str) -> dict[str, object]:
    inner: dict[str, object] = {"type": kind, pattern[-1]: value} if kind else {pattern[-1]: value}
    for key in reversed(pattern[:-1]):
        inner = {"x" if key == "*" else key: inner}
    return inner


@pytest.mark.parametrize("entry", DEPRECATED, ids=lambda entry: ".".join(entry.pattern))
def test_old_syntax_is_listed_with_what_replaces_it(entry: Deprecated) -> None:
    words = ["static_weights", "uniform", "track_and_stop", "static", "experimental_chain_of_thought"]
    values = [*words, "https://x/messages", "https://x/chat/completions", "env::AZURE_OPENAI_API_KEY"]
    value = next(value for value in values if entry.when(value))

    found = deprecated_syntax(tree_of(entry.pattern, value, entry.beside[0] if entry.beside else ""))

    assert entry.replacement in " ".join(reason.message for reason in found)


def test_what_the_registry_renders_is_not_deprecated() -> None:
    assert deprecated_syntax(unchecked_project({"t": render(stored().snapshot()).text}).tree) == []


def test_a_missing_file_is_a_fault_and_one_that_is_there_is_none() -> None:
    toml = FUNCTION + b'system_template = "a/b.txt"\n'
    missing = check_project({"config/tensorzero.toml": toml}, None)
    there = check_project({"config/tensorzero.toml": toml, "config/a/b.txt": b"hi"}, None)

    assert [reason.where for reason in missing.faults] == ["functions.f.variants.v.system_template"]
    assert there.accepted


def test_only_the_named_configuration_is_checked() -> None:
    files = {"a.toml": FUNCTION, "b.toml": FUNCTION}
    assert check_project(files, None, configuration=["a.toml"]).accepted
    assert not check_project(files, None).accepted
    (fault,) = check_project(files, None, configuration=["c.toml"]).faults
    assert fault.where == "c.toml"


def test_faults_of_several_files_say_in_which_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[models.m]\nrouting = []\nproviders = {}\n")
    (tmp_path / "b.toml").write_bytes(FUNCTION + b'user_template = "../x.txt"\n')
    (tmp_path.parent / "x.txt").write_text("above")
    files, names = read_whole_project([tmp_path])
    findings = check_project(files, None, configuration=names)

    assert {path.rpartition("/")[2] for path in files} == {"a.toml", "b.toml", "x.txt"}
    assert findings.faults
    assert all("a.toml: models.m" in reason.where for reason in findings.faults)


def read_again(reader: CachedParser, text: str) -> object:
    reading = reader.read(text)
    return reading and reading.tree


def test_reading_again_reads_the_same_and_says_what_changed() -> None:
    text = render(stored().snapshot()).text
    reader = CachedParser()
    for changed in (text, text.replace("model_name", "model_nome", 1), text):
        assert read_again(reader, changed) == unchecked_project({"t": changed}).tree
    reading = reader.read(text.replace("model_name", "model_nome", 1))

    assert reading is not None
    assert len(reading.changed) == 1


@pytest.mark.parametrize(
    "text",
    [
        '[a]\nx = """one\n\n[b]\ny = 1\n"""\n',
        "[[a]]\nx = 1\n\n[[a]]\nx = 2\n",
        "x = 1\n\n[a]\ny = 2\n",
        "[models.a]\nx = 1\n[models.b]\nx = 1\n",
        "[models.a]\nx = 1\n\n[models.a]\nx = 2\n",
    ],
    ids=["text with a table in it", "array of tables", "key at the top", "two entries in one", "the same twice"],
)
def test_what_does_not_fall_into_tables_is_read_as_a_whole(text: str) -> None:
    assert CachedParser().read(text) is None


MODEL = '[models.{name}]\nrouting = ["p"]\n\n[models.{name}.providers.p]\ntype = "dummy"\nmodel_name = "{value}"\n'
CALLS = (
    '[functions.f]\ntype = "chat"\n\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "{model}"\n'
    'system_template = "a.txt"\nweight = 1\n'
)
GATEWAY_SECTION = "[gateway]\nglobal_outbound_http_timeout_ms = {limit}\n"
TIMEOUTS = "\n[models.slow.timeouts.non_streaming]\ntotal_ms = 5000\n"
STATES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    ("\n".join(parts), frozenset(files))
    for parts, files in (
        ([MODEL.format(name="m", value="x"), CALLS.format(model="m")], {"a.txt"}),
        ([MODEL.format(name="m", value="y"), CALLS.format(model="m")], {"a.txt"}),
        ([MODEL.format(name="n", value="y"), CALLS.format(model="m")], {"a.txt"}),
        ([MODEL.format(name="n", value="y"), CALLS.format(model="n")], set()),
        ([GATEWAY_SECTION.format(limit=9000), MODEL.format(name="slow", value="y") + TIMEOUTS], {"a.txt"}),
        ([GATEWAY_SECTION.format(limit=900), MODEL.format(name="slow", value="y") + TIMEOUTS], {"a.txt"}),
        (
            [MODEL.format(name="m", value="x").replace("[models", "[embedding_models"), CALLS.format(model="m")],
            {"a.txt"},
        ),
        (["[nonsense]\nx = 1\n", MODEL.format(name="m", value="") + "[[oops]]\n"], {"a.txt"}),
        ([], set()),
    )
)


def judged(state: tuple[str, frozenset[str]], rechecker: CachedRules | None) -> tuple[set[str], set[str]]:
    text, names = state
    files = {"t.toml": text.encode()} | dict.fromkeys(names, b"")
    findings = check_project(files, None, configuration=("t.toml",), cached_rules=rechecker)
    return {str(reason) for reason in findings.faults}, {str(reason) for reason in findings.deprecated}


@given(st.lists(st.sampled_from(STATES), min_size=2, max_size=8))
def test_whatever_was_checked_before_the_rules_say_the_same(states: list[tuple[str, frozenset[str]]]) -> None:
    rechecker = CachedRules()
    for state in states:
        assert judged(state, rechecker) == judged(state, None)


def test_a_test_model_is_accepted_with_a_warning_where_it_is_named() -> None:
    dummy = FUNCTION.replace(b"openai::x", b"dummy::good")
    provider = b'[models."dummy::good".providers.p]\ntype = "openai"\nmodel_name = "x"\n'
    own = b'[models."dummy::good"]\nrouting = ["p"]\n' + provider
    for cached in (None, CachedRules()):
        result = check_project({"t.toml": dummy}, None, cached_rules=cached)
        assert result.accepted
        (warning,) = result.warnings
        assert (warning.where, "every call fails" in warning.message) == ("functions.f.variants.v.model", True)
        assert check_project({"t.toml": dummy + own}, None, cached_rules=cached).warnings == ()
