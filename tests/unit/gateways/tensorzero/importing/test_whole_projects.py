"""Any project allowed by the gateway's table of keys is exported by the registry as it was imported."""

from __future__ import annotations

import uuid
from contextlib import nullcontext, suppress
from typing import Any

import tomli
import tomli_w
from hypothesis import assume, given

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.compare import compare
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.profiles import large_examples
from support.whole_projects import FILES, whole_projects

Tree = dict[str, Any]


def brought_in(text: str, before: Snapshot, *, replace: bool = False) -> Snapshot:
    project = parse_project({"tensorzero.toml": text, **FILES})
    operations = plan_import(project, before, lambda: str(uuid.uuid4()), replace=replace).operations
    refuse_bad_configuration(before, operations)
    after = before.preview(operations)
    assert plan_import(project, after, lambda: str(uuid.uuid4()), replace=replace).operations == ()
    return after


def assert_holds(text: str, after: Snapshot) -> None:
    files = {path: content.decode() for path, content in bundle(after, render(after)).items()}
    # The text as it was written, without anything that reading makes of it.
    normal: dict[str, str] = FILES
    said = tomli.loads(text)
    access = said.get("gateway", {}).get("template_filesystem_access", {})
    if "base_path" in access:
        access["base_path"] = access["base_path"].strip("./") or "."
        normal = {path: content for path, content in FILES.items() if path in files}
    assert compare(said, normal, tomli.loads(files["tensorzero.toml"]), files) == []


@large_examples()
@given(whole_projects())
def test_any_project_comes_back_as_it_went_in(tree: Tree) -> None:
    text = tomli_w.dumps(tree)
    assert_holds(text, brought_in(text, Snapshot.empty()))


@large_examples()
@given(whole_projects(), whole_projects())
def test_any_project_replaces_any_other(first: Tree, second: Tree) -> None:
    before = brought_in(tomli_w.dumps(first), Snapshot.empty())
    text = tomli_w.dumps(second)
    assert_holds(text, brought_in(text, before, replace=True))


@large_examples()
@given(whole_projects(), whole_projects())
def test_any_project_can_be_merged_into_any_other(first: Tree, second: Tree) -> None:
    one, other = first.get("functions", {}), second.get("functions", {})
    # A function that changes its type cannot keep the variants that the project does not name: refused with the reason.
    shared = one.keys() & other.keys()
    assume(all(one[name]["type"] == other[name]["type"] for name in shared))
    before = brought_in(tomli_w.dumps(first), Snapshot.empty())
    # And those variants may have no template for a schema that it brings; or a function may use a chat model whose name
    # is now an embedding model's, or the other way round.
    sections = ("models", "embedding_models")
    turned = any(first.get(a, {}).keys() & second.get(b, {}).keys() for a, b in (sections, sections[::-1]))
    with suppress(InvalidConfiguration) if shared or turned else nullcontext():
        brought_in(tomli_w.dumps(second), before)
