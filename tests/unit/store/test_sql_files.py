"""The SQL files define each object once, and in the directory where it belongs."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from model_registry.store.migrations import data_directory
from support.paths import ROOT

MIGRATIONS = sorted(data_directory("migrations").glob("*.sql"))
SCHEMA = sorted(data_directory("schema").glob("*.sql"))
DEFINITION = re.compile(r"\bcreate (?:or replace )?(function|procedure|view|materialized view|trigger|policy) +(\w+)")
BOUND_TO_TABLES = ("trigger", "policy")


def statements(file: Path) -> str:
    """A file in small letters without its comments."""
    return re.sub(r"--[^\n]*", "", file.read_text().lower())


def test_no_function_and_no_view_is_defined_twice() -> None:
    defined = Counter(
        found.groups()
        for file in SCHEMA
        for found in DEFINITION.finditer(statements(file))
        if found[1] not in BOUND_TO_TABLES
    )

    assert defined[("function", "registry_write")] == 1
    assert [thing for thing, times in defined.items() if times > 1] == []


@pytest.mark.parametrize("file", SCHEMA, ids=lambda file: file.stem)
def test_a_file_of_schema_can_be_applied_again(file: Path) -> None:
    text = statements(file)

    # Policies, triggers and indexes are made where they are missing or others, by execute.
    assert re.findall(r"^ *create (?!or replace (?:function|view) ).*", text, re.MULTILINE) == []
    assert re.findall(r"^ *(?:drop|alter) .*", text, re.MULTILINE) == []


@pytest.mark.parametrize("file", SCHEMA, ids=lambda file: file.stem)
def test_no_body_is_built_from_the_text_of_another(file: Path) -> None:
    assert re.findall(r"prosrc|pg_get_functiondef", statements(file)) == []


def test_what_keeps_answers_of_functions_says_which_text_they_are_of() -> None:
    """An index, say: it is made again when this text is another, and the functions are not asked for theirs."""
    whole = "\n".join(re.sub(r"--[^\n]*", "", file.read_text()) for file in SCHEMA)
    definition = r"^(?=create or replace function (\w+))(.*?\$\$.*?\$\$;)"
    functions = dict(re.findall(definition, whole, re.MULTILINE | re.DOTALL))
    seen = 0
    for block in re.findall(r"^do \$\$.*?^\$\$;", whole, re.MULTILINE | re.DOTALL):
        found = re.search(r"'text (\w+) of ([\w, ]+)'", re.sub(r"'\n *'", "", block))
        if found is None:
            continue
        seen += 1
        named = found[2].split(", ")
        bodies = [functions[name] for name in named]
        called = {name for body in bodies for name in re.findall(r"(\w+)\(", body)} & functions.keys()
        assert called <= set(named), "these are part of the text too"

        text = " ".join(" ".join([block.replace(found[1], ""), *bodies]).split())
        assert found[1] == hashlib.sha256(text.encode()).hexdigest()[:8], "write this one, and it is made again"
    assert seen == 2


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: file.stem)
def test_migrations_make_tables_and_leave_all_else_to_schema(file: Path) -> None:
    text = statements(file)

    assert DEFINITION.findall(text) == []
    if file.stem != "0001_roles":  # which role is a member of which
        assert re.findall(r"\b(?:grant|revoke)\b.*", text) == []


@pytest.mark.parametrize("file", [*MIGRATIONS, *SCHEMA], ids=lambda file: file.stem)
def test_names_are_not_qualified(file: Path) -> None:
    """The schema's name is a setting."""
    assert "model_registry." not in statements(file)
    assert len(file.read_text().splitlines()) <= 300


def test_no_migration_bears_a_name_that_an_earlier_one_had() -> None:
    """A database that was there before would take it for applied."""
    fixture = ROOT / "tests" / "fixtures" / "databases" / "0015.sql"
    earlier = set(re.findall(r"_yoyo_migration VALUES \('\w+', '(\w+)'", fixture.read_text()))
    assert "0002_tables" in earlier
    earlier |= {"0016_entry_ids", "0017_fleet_limits", "0018_closed_reads", "0019_log_pages"}  # of development

    assert earlier & {file.stem for file in MIGRATIONS} == {"0001_roles"}  # the same as it was


def test_the_image_gets_every_directory_that_the_wheel_carries() -> None:
    """The wheel is built in the image: what is not copied there would be missing from it in silence."""
    wheel = re.search(r"^only-include = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert wheel is not None
    carried = {name.split("/")[0] for name in re.findall(r'"([^"]+)"', wheel[1])}
    assert carried >= {"migrations", "schema", "seeds", "service"}

    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    let_through = set(re.findall(r"^!(\w+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert carried <= copied
    assert carried <= let_through
