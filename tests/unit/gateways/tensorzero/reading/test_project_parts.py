"""Files of a project, old syntax, replacing, and bundles: the parts that whole projects are made of."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from model_registry.client.bundle import unpack_bundle, write_bundle
from model_registry.entities.change import Operation
from model_registry.errors import InvalidConfiguration, RegistryUnreachable
from model_registry.gateways.bundle import archive
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import BASE_PATH
from model_registry.gateways.tensorzero.reading.file_references import FILE_KEYS, resolve
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_files, read_project
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.render import configuration_tree, render
from model_registry.gateways.tensorzero.rules.deprecated import modernised
from model_registry.snapshot.snapshot import Snapshot
from support.mistakes import GOOD

Tree = dict[str, Any]


@pytest.mark.parametrize("pattern", FILE_KEYS, ids=".".join)
def test_every_key_that_names_a_file_brings_it_along(pattern: tuple[str, ...]) -> None:
    value = "../shared" if pattern == BASE_PATH else "../shared/x.json"
    tree: Any = value
    for key in reversed(pattern):
        tree = {"any" if key == "*" else key: tree}
    found = resolve({"conf/tensorzero.toml": tree}, {"shared/x.json": "{}", "shared/.hidden": ""})
    assert found.files == {"shared/x.json": "{}"}
    assert found.reasons == []
    here = tree
    for key in pattern:
        here = here["any" if key == "*" else key]
    assert here == value.removeprefix("../")


def test_files_on_disk_are_read_relative_to_the_toml_that_names_them(tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere" / "abs.txt"
    text = f'{GOOD}system_template = "../t/a.txt"\nuser_template = "{absolute}"\n'
    written = {
        "p/conf/tensorzero.toml": f'{text}[gateway.template_filesystem_access]\nbase_path = "inc"\n',
        "p/t/a.txt": "a\r\n",
        "p/t/unused.txt": "never",
        "p/conf/inc/deep/b.txt": "b",
        "p/conf/inc/empty.txt": "",
        "p/conf/inc/.git/c.txt": "c",
        "elsewhere/abs.txt": "abs",
    }
    for name, content in written.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8", newline="")
    (tmp_path / "p/conf/inc/picture.png").write_bytes(b"\x89PNG\xff")
    project = read_project([tmp_path / "p" / "conf"])
    kept = f"absolute{absolute.as_posix()}"
    included = {"conf/inc/deep/b.txt": "b", "conf/inc/empty.txt": ""}
    assert project.files == {"t/a.txt": "a\r\n", kept: "abs", **included}
    assert project.tree["gateway"]["template_filesystem_access"]["base_path"] == "conf/inc"


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tensorzero.toml").write_text(f'{GOOD}system_template = "a.txt"\n', "utf-8")
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(InvalidConfiguration, match=r"a\.txt: is not UTF-8 text"):
        read_project([tmp_path])


def test_a_configuration_that_templates_may_include_is_not_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    (tmp_path / "tensorzero.toml").write_text(f'{GOOD}[gateway.template_filesystem_access]\nbase_path = "."\n', "utf-8")
    (tmp_path / "drafts" / "next.toml").write_text(GOOD, "utf-8")
    texts, configuration = read_files([tmp_path / "tensorzero.toml"])
    assert configuration == ("tensorzero.toml",)
    project = parse_project(texts, configuration)
    assert list(project.trees) == ["tensorzero.toml"]
    assert project.files == {"drafts/next.toml": GOOD}


def test_a_text_in_the_place_of_a_path_is_refused_as_one(tmp_path: Path) -> None:
    text = "You are a bot. " * 300
    (tmp_path / "tensorzero.toml").write_text(f'{GOOD}system_template = "{text}"\n', "utf-8")
    with pytest.raises(InvalidConfiguration, match="holds text"):
        read_project([tmp_path])


@pytest.mark.parametrize(("names", "reason"), [(["other.toml"], "not among the files"), ([], "none of its files")])
def test_a_configuration_that_is_not_there_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(InvalidConfiguration, match=reason):
        parse_project({"tensorzero.toml": GOOD}, names)


OLD: dict[str, tuple[Tree, Tree]] = {
    "track_and_stop": (
        {"functions": {"f": {"experimentation": {"type": "track_and_stop"}}}},
        {"functions": {"f": {"experimentation": {"type": "adaptive"}}}},
    ),
    "static evaluations": ({"evaluations": {"e": {"type": "static"}}}, {"evaluations": {"e": {"type": "inference"}}}),
    "migrations": (
        {"gateway": {"observability": {"disable_automatic_migrations": True}}},
        {"gateway": {"observability": {}}, "clickhouse": {"disable_automatic_migrations": True}},
    ),
    "a region of its own": (
        {"models": {"m": {"providers": {"p": {"type": "aws_bedrock", "allow_auto_detect_region": True}}}}},
        {"models": {"m": {"providers": {"p": {"type": "aws_bedrock", "region": "sdk"}}}}},
    ),
}


@pytest.mark.parametrize("case", OLD)
def test_old_words_become_the_new_ones_and_are_reported(case: str) -> None:
    old, new = OLD[case]
    tree, said = modernised(old)
    assert tree == new
    assert len(said) == 1
    assert modernised(tree) == (tree, [])


def test_a_timeout_that_the_gateway_could_not_hand_down_stays() -> None:
    variants = {"b": {"candidates": ["v"], "timeout_s": 1.5}, "v": {"timeouts": {}}}
    tree: Tree = {"functions": {"f": {"variants": variants}}}
    assert modernised(tree) == (tree, [])


def imported(text: str, before: Snapshot, *, replace: bool = False) -> Snapshot:
    project = parse_project({"tensorzero.toml": text})
    return before.preview(plan_import(project, before, lambda: str(uuid.uuid4()), replace=replace).operations)


def test_variants_follow_their_model_to_another_provider() -> None:
    elsewhere = GOOD.replace("providers.p", "providers.q").replace('["p"]', '["q"]').replace("h:1", "h:2")
    before = imported(GOOD, Snapshot.empty())
    after = imported(elsewhere, before, replace=True)
    assert configuration_tree(after)["functions"] == configuration_tree(before)["functions"]
    assert [row.active for row in after.models] == [True]


def test_replacing_keeps_what_is_not_the_gateways_business() -> None:
    before = imported(GOOD.replace("models.m", "models.old").replace('"m"', '"old"'), Snapshot.empty())
    before = imported(GOOD, before)
    (row,) = before.models.where("name", "m")
    voice = {"provider_id": row.provider_id, "name": "voice", "model_id": "v", "model_type": "tts"}
    said = {"service_name": "svc", "function_name": "speak", "variant_name": "v", "model_id": "voice-id"}
    before = before.preview(
        [
            Operation("models", "update", row.id, {"description": "kept", "vram_mb": 5}),
            Operation("models", "insert", "voice-id", voice),
            Operation("service_model_mappings", "insert", "speak-id", said),
            Operation("model_aliases", "insert", "alias-id", {"model_id": row.id, "alias": "nick"}),
            Operation("model_aliases", "insert", "other-id", {"model_id": row.id, "alias": "x", "context": "web"}),
        ]
    )
    after = imported(GOOD, before, replace=True)
    assert sorted(model.name for model in after.models) == ["m", "voice"]
    (kept,) = after.models.where("name", "m")
    assert (kept.description, kept.vram_mb) == ("kept", 5)
    assert after.mappings.get("speak-id")
    assert [alias.alias for alias in after.aliases] == ["x"]
    assert configuration_tree(after).keys() == {"models", "functions"}


def test_a_bundle_is_the_same_bytes_for_the_same_content_and_can_be_written(tmp_path: Path) -> None:
    snapshot = imported(f'[gateway.template_filesystem_access]\nbase_path = "inc"\n{GOOD}', Snapshot.empty())
    files = bundle(snapshot, render(snapshot))
    assert files.keys() == {"tensorzero.toml", "inc/.keep"}
    assert archive(files) == archive(dict(reversed(files.items())))
    assert unpack_bundle(archive(files)) == files
    write_bundle(files, tmp_path / "out")
    assert (tmp_path / "out" / "inc" / ".keep").is_file()
    assert (tmp_path / "out" / "tensorzero.toml").read_bytes() == files["tensorzero.toml"]


@pytest.mark.parametrize("files", [{"../x": b"", "tensorzero.toml": b""}, {"/x": b""}, {"x": b""}])
def test_a_bundle_that_would_write_elsewhere_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(RegistryUnreachable):
        unpack_bundle(archive(files))


def test_what_is_no_bundle_is_refused() -> None:
    with pytest.raises(RegistryUnreachable, match="not a bundle"):
        unpack_bundle(b"<html>")
