"""Old syntax that today's gateway refuses: with `upgrade` it comes in, and each change is in the report."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import Project, undotted
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.snapshot.snapshot import Snapshot

JSON = '[functions.f]\ntype = "json"\n'
CHAT = '[functions.f]\ntype = "chat"\n'
PLAIN = '[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "openai::x"\n'
STRICT = f'{PLAIN}json_mode = "strict"\n'
INNER = '{ model = "openai::x" }'
BEST = f'[functions.f.variants.b]\ntype = "experimental_best_of_n"\ncandidates = ["v"]\nevaluator = {INNER}\n'
MIXED = f'[functions.f.variants.b]\ntype = "experimental_mixture_of_n"\ncandidates = ["v"]\nfuser = {INNER}\n'
AWS = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "aws_bedrock"\nmodel_id = "x"\n'
OPENAI = 'routing = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
EMBED = (
    '[embedding_models.m]\nrouting = ["p"]\ntimeouts = { non_streaming = { total_ms = 5 } }\n'
    '[embedding_models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
    "timeouts = { non_streaming = { total_ms = 4 } }\n"
)
EXACT = 'function_name = "f"\nevaluators.same = { type = "exact_match" }\n'

UPGRADES = {
    "a JSON mode": (JSON + PLAIN, "functions.f.variants.v.json_mode", "strict"),
    "a JSON mode of a fuser": (JSON + STRICT + MIXED, "functions.f.variants.b.fuser.json_mode", "strict"),
    "a data set": (CHAT + PLAIN + f'[evaluations.e]\ntype = "static"\ndataset_name = "d"\n{EXACT}', "evaluations.e.type", "inference"),  # noqa: E501
    "evals": (CHAT + PLAIN + f'[evals.e]\ndataset_name = "d"\n{EXACT}', "evaluations.e.type", "inference"),
    "no observability": ("[gateway]\ndisable_observability = true\n", "gateway.observability.enabled", False),
    "observability": ("[gateway]\ndebug = true\ndisable_observability = false\n", "gateway.debug", True),
    "included templates": ("[gateway]\nenable_template_filesystem_access = true\n", "gateway.template_filesystem_access.base_path", "."),  # noqa: E501
    "no included templates": ("[gateway]\ndebug = true\nenable_template_filesystem_access = false\n", "gateway.debug", True),  # noqa: E501
    "migrations": ("[gateway]\ndebug = true\nobservability.skip_completed_migrations = true\n", "gateway.debug", True),
    "batches": ("[gateway.observability]\nbatch_writes = { enabled = true }\n", "gateway.observability.async_writes", False),  # noqa: E501
    "a region": (AWS, "models.m.providers.p.region", "sdk"),
    "best of n": (CHAT + PLAIN + BEST, "functions.f.variants.b.type", "experimental_best_of_n_sampling"),
    "tool choice": (CHAT + 'tool_choice = "off"\n' + PLAIN, "functions.f.tool_choice", "none"),
    "a key's place": (f'[models.m]\n{OPENAI}api_key_location = {{ env = "K" }}\n', "models.m.providers.p.api_key_location", "env::K"),  # noqa: E501
    "embedding timeouts": (EMBED, "embedding_models.m.timeout_ms", 5),
    "embedding providers' timeouts": (EMBED, "embedding_models.m.providers.p.timeout_ms", 4),
    "a database's address": ('[clickhouse]\nurl = "http://u:sesame@h:1"\ndatabase = "d"\n', "", None),
}  # fmt: skip


def value_at(project: Project, dotted: str) -> object:
    here: object = project.tree
    for key in undotted(dotted):
        assert isinstance(here, dict)
        here = here[key]
    return here


@pytest.mark.parametrize("case", UPGRADES)
def test_old_syntax_is_refused_with_the_hint_and_comes_in_with_an_upgrade(case: str) -> None:
    text, where, value = UPGRADES[case]
    with pytest.raises(InvalidConfiguration, match="--upgrade"):
        parse_project({"tensorzero.toml": text})
    project = parse_project({"tensorzero.toml": text}, upgrade=True)
    if where:
        assert value_at(project, where) == value
    numbers = itertools.count(1)
    report = plan_import(project, Snapshot.empty(), lambda: f"new-{next(numbers)}").report
    entries = [entry for entry in report if entry.action == "upgraded"]
    assert len(entries) == len(project.upgraded) > 0
    assert not any("sesame" in str(entry) for entry in entries)


def test_what_has_to_be_decided_is_refused_still() -> None:
    text = '[gateway]\ndisable_observability = true\nobservability.enabled = true\n[models.m]\nrouting = ["p"]\n'
    with pytest.raises(InvalidConfiguration) as caught:
        parse_project({"tensorzero.toml": text}, upgrade=True)
    assert any("disable_observability" in reason.where for reason in caught.value.reasons)


def test_a_project_in_todays_syntax_is_not_changed() -> None:
    text = CHAT + PLAIN + AWS + 'region = "us-east-1"\n'
    plain, upgraded = (parse_project({"tensorzero.toml": text}, upgrade=upgrade) for upgrade in (False, True))
    assert (plain.tree, plain.upgraded) == (upgraded.tree, upgraded.upgraded) == (plain.tree, ())


def test_the_type_of_a_function_may_stand_in_another_file() -> None:
    files = {"a.toml": JSON, "b.toml": PLAIN}
    project = parse_project(files, upgrade=True)
    assert value_at(project, "functions.f.variants.v.json_mode") == "strict"


def test_templates_that_old_gateways_would_include_are_read_along(tmp_path: Path) -> None:
    (tmp_path / "tensorzero.toml").write_text("[gateway]\nenable_template_filesystem_access = true\n" + CHAT + PLAIN)
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "tone.minijinja").write_text("Be kind.")
    assert "partials/tone.minijinja" in read_project([tmp_path], upgrade=True).files


OPEN = "[gateway]\nenable_template_filesystem_access = true\n" + CHAT + PLAIN + 'system_template = "prompts/a.txt"\n'
ALONGSIDE = {
    "prompts/a.txt": "{%- include 'shared/rules.txt' %} {% from \"lib.md\" import x if y else z %} {% include name %}",
    "shared/rules.txt": '{% extends ["nowhere.txt", "./base.html"] %}',
    "lib.md": "{% macro x() %}{% endmacro %}",
    "base.html": '{% include "../outside.txt" %}{% include ".hidden" %} {{ "notes.txt" }} {% set n = "notes.md" %}',
    "partials/tone.j2": '{% import "deep/er.css" as c %}',
    "deep/er.css": "",
}
"""What a template of the project may include."""
PRIVATE = {
    "other.conf": 'password = "hunter2"',
    "notes.txt": "hunter2",
    "notes.md": "hunter2",
    "rules.txt": "hunter2",
    "pyproject.toml": '[tool.x]\npassword = "hunter2"',
    ".hidden": "hunter2",
}


def test_an_upgrade_takes_no_file_that_templates_do_not_include(tmp_path: Path) -> None:
    for name, content in (ALONGSIDE | PRIVATE | {"tensorzero.toml": OPEN}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    read = read_project([tmp_path], upgrade=True)
    assert read.files == ALONGSIDE
    assert "hunter2" not in "".join(read.texts.values())
    sent = parse_project({"tensorzero.toml": OPEN, **ALONGSIDE, **PRIVATE}, upgrade=True)
    assert sent.files == ALONGSIDE
    reasons = {"left out: neither a key nor a template of the project names it"}
    for project, left_out in ((read, PRIVATE.keys() - {".hidden"}), (sent, PRIVATE.keys())):
        assert {why for name, why in project.rewritten if name in PRIVATE} == reasons
        assert {name for name, _ in project.rewritten} & PRIVATE.keys() == left_out


def test_a_large_template_of_broken_tags_is_looked_through_in_one_go() -> None:
    text = "{% include \"'" * 100_000
    started = time.process_time()
    parse_project({"tensorzero.toml": OPEN, "prompts/a.txt": text}, upgrade=True)
    assert time.process_time() - started < 2
