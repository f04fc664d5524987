"""Two projects in one registry: whose each row is, what is shared, and what becomes of what they say differently."""

from __future__ import annotations

import functools
import uuid
from typing import Any, get_args

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import ConflictReason, ImportConflict, Invalid, InvalidConfiguration
from model_registry.gateways.tensorzero.compare import compare
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import Project
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.imports.plan import ImportPlan
from model_registry.imports.projects import Destination, OnConflict
from model_registry.snapshot.snapshot import Snapshot
from support.profiles import large_examples
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
    assert again.operations == (), again.report
    return after


def assert_unchanged(before: Snapshot, after: Snapshot) -> None:
    """Everything that was rendered before is rendered still, and means the same."""
    was, now = configuration_tree(before), configuration_tree(after)
    files = {file.path: file.content for file in before.files}
    now_files = {file.path: file.content for file in after.files if file.path in files}
    kept = {name: {key: now.get(name, {}).get(key) for key in table} for name, table in was.items()}
    for name, table in kept.items():
        assert None not in table.values(), name
    if "provider_types" in now:
        kept["provider_types"] = was["provider_types"] = now["provider_types"]
    assert compare(was, files, kept, now_files) == []


@large_examples()
@given(whole_projects(), whole_projects(), st.sampled_from([None, "rename", "keep"]), st.booleans())
def test_a_project_never_changes_what_another_renders(
    first: Tree, second: Tree, on_conflict: OnConflict | None, replace: bool
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
