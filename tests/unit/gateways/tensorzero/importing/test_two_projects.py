"""Two projects in one registry: whose each row is, what is shared, and what becomes of what they say differently."""

from __future__ import annotations

import uuid
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import ImportConflict
from model_registry.gateways.tensorzero.compare import compare
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import Project
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.imports.plan import ImportPlan
from model_registry.imports.projects import Destination, OnConflict
from model_registry.snapshot.snapshot import Snapshot
from support.whole_projects import FILES, whole_projects

Tree = dict[str, Any]


def new_id() -> str:
    return str(uuid.uuid4())


def parsed(tree: Tree) -> Project:
    return parse_project({"tensorzero.toml": tomli_w.dumps(tree), **FILES})


def planned(project: Project, before: Snapshot, into: Destination, *, replace: bool = False) -> ImportPlan:
    plan = plan_import(project, before, new_id, into=into, replace=replace)
    refuse_bad_configuration(before, plan.operations)
    return plan


def imported(project: Project, before: Snapshot, into: Destination, *, replace: bool = False) -> Snapshot:
    """The registry after an import, which has nothing to do a second time."""
    after = before.preview(planned(project, before, into, replace=replace).operations)
    again = planned(project, after, into, replace=replace)
    assert again.operations == (), again.operations
    return after


def shorthands(value: Any) -> set[str]:
    """The types of the models that are named without a table, such as groq of `groq::x`."""
    if isinstance(value, str):
        return {value.split("::", maxsplit=1)[0]} if "::" in value else set()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(shorthands, items))


def assert_unchanged(before: Snapshot, after: Snapshot) -> None:
    """Everything that was rendered before is rendered still, and means the same."""
    was, now = configuration_tree(before), configuration_tree(after)
    files = {file.path: file.content for file in before.files}
    now_files = {file.path: file.content for file in after.files if file.path in files}
    kept = {name: {key: now.get(name, {}).get(key) for key in table} for name, table in was.items()}
    for name, table in kept.items():
        assert None not in table.values(), name
    types = was.get("provider_types", {}).keys() | shorthands(was.get("functions", {}))
    # Defaults of other types may come: those of what is there count.
    kept["provider_types"] = now.get("provider_types", {})
    was.setdefault("provider_types", {})
    found = [f for f in compare(was, files, kept, now_files) if not f.where.startswith("provider_types.")]
    assert found == []
    assert {t: was["provider_types"].get(t) for t in types} == {t: kept["provider_types"].get(t) for t in types}


@given(
    first=whole_projects(),
    second=whole_projects(),
    on_conflict=st.sampled_from([None, "rename", "rename", "keep", "keep"]),
    replace=st.booleans(),
)
def test_a_project_never_changes_what_another_renders(
    *, first: Tree, second: Tree, on_conflict: OnConflict | None, replace: bool
) -> None:
    one, other = parsed(first), parsed(second)
    before = imported(one, Snapshot.empty(), Destination(project="one"))
    into = Destination(project="two", on_conflict=on_conflict)
    try:
        after = imported(other, before, into, replace=replace)
    except ImportConflict:
        return
    assert_unchanged(before, after)
    assert planned(one, after, Destination(project="one")).operations == ()
