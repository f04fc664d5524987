"""Sources that are files: what is read, and what is not."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import pytest

from model_registry.discovery.local_files import _text, read_files
from model_registry.entities.offer import SourceContent
from model_registry.entities.source import Source
from model_registry.errors import SourceUnreadable

TODAY = date(2026, 1, 1)


def read(allowed: Path | None, address: str, kind: str = "file", **more: object) -> SourceContent:
    source = Source.model_validate({"id": "1", "name": "static", "kind": kind, "address": address, **more})
    return read_files(source, allowed, "static", TODAY)


def names(content: SourceContent) -> list[str]:
    return [offer.model_id for offer in content.offers]


def test_each_form_is_known_by_what_it_is(tmp_path: Path) -> None:
    training = {"framework": "timm", "models": [{"model_name": "resnet"}]}
    (tmp_path / "a.json").write_text(json.dumps(training))
    (tmp_path / "b.yaml").write_text("framework: timm\nmodels: [{model_name: vit}]\n")
    (tmp_path / "c.csv").write_text("model_id,parameters\nm,8B\n")
    (tmp_path / "d.json").write_text(json.dumps({"gpt": {"litellm_provider": "openai", "mode": "chat"}}))
    entry = {"id": "g", "name": "G", "provider": "lab", "status": "stable", "capabilities": {}}
    (tmp_path / "e.json").write_text(json.dumps({"version": "1.0.0", "models": {"g": entry}}))
    (tmp_path / "notes.txt").write_text("not read")

    assert names(read(tmp_path, "a.json")) == ["resnet"]
    assert names(read(tmp_path, "b.yaml")) == ["vit"]
    (tmp_path / "all").mkdir()
    for file in tmp_path.glob("?.*"):
        file.rename(tmp_path / "all" / file.name)
    assert names(read(tmp_path, "all", "directory")) == ["resnet", "vit", "m", "gpt", "g"]


def test_a_file_of_a_directory_that_cannot_be_read_ends_no_other(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "bad.json").write_text("{")
    (tmp_path / "d" / "good.csv").write_text("model_id\nm\n")

    content = read(tmp_path, "d", "directory")

    assert names(content) == ["m"]
    assert [unread.name for unread in content.unread] == ["bad.json"]


def test_nothing_outside_the_allowed_directory_is_read(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir()
    outside.mkdir()
    (outside / "secret.json").write_text('{"models": [{"model_name": "secret", "framework": "x"}]}')
    (allowed / "link.json").symlink_to(outside / "secret.json")
    (allowed / "link").symlink_to(outside)

    for address in ("../outside/secret.json", str(outside / "secret.json"), "link.json", "link/secret.json"):
        with pytest.raises(SourceUnreadable, match=r"not below|there is no file"):
            read(allowed, address)
    with pytest.raises(SourceUnreadable, match="not below"):
        read(allowed, "link", "directory")
    with pytest.raises(SourceUnreadable, match="MODEL_REGISTRY_SOURCES_DIR is not set"):
        read(None, "a.json")


def test_a_pipe_and_a_missing_file_are_none(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="there is no file"):
        read(tmp_path, "none.json")
    with pytest.raises(SourceUnreadable, match="there is no directory"):
        read(tmp_path, "none", "directory")


def test_a_file_that_became_a_pipe_or_a_link_is_not_read(tmp_path: Path) -> None:
    """Between the look and the reading: whoever may write there must not stop the reading of all sources."""
    (tmp_path / "secret.json").write_text("{}")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "secret.json")

    for name in ("pipe.json", "link.json"):
        with pytest.raises((SourceUnreadable, OSError)):
            _text(tmp_path / name)


_LAUGHS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{_LAUGHS}models: [{{model_name: m, framework: f, tags: *a11}}]", "aliases make it longer"),
        ("a: &a {b: *a}", "stands for what it is in"),
        (f"a: {':'.join(['59'] * 1000)}", "a number of 2,999 characters"),
        ("- x\n" * 300_000, "more than 1 MB"),
        ("[" * 5000, "cannot be read"),
    ],
)
def test_a_small_yaml_document_does_not_become_an_endless_one(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.yaml").write_text(text)

    with pytest.raises(SourceUnreadable, match=reason):
        read(tmp_path, "a.yaml")


@pytest.mark.parametrize("text", ["models: !!bool maybe", "models: !!int ''", "models: !!timestamp soon"])
def test_a_value_that_is_none_of_its_tag_is_a_mistake_of_the_source(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)

    with pytest.raises(SourceUnreadable, match="a value in it is not of the type that its tag says"):
        read(tmp_path, "a.yaml")


def test_aliases_as_people_use_them_are_read(tmp_path: Path) -> None:
    usual = "usual: &usual {framework: f}\nmodels:\n- {<<: *usual, model_name: a}\n- {<<: *usual, model_name: b}\n"
    (tmp_path / "a.yaml").write_text(usual)

    assert names(read(tmp_path, "a.yaml")) == ["a", "b"]
