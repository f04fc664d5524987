"""A list of workers is a file of its own, replaced in one step: its gateway watches the file and not the link."""

from __future__ import annotations

from pathlib import Path

from model_registry.gateway_agent.bundle_directory import BundleDirectory
from model_registry.gateway_agent.bundle_source import Bundle


def test_the_current_list_of_workers_is_beside_the_link_and_follows_it(tmp_path: Path) -> None:
    directory = BundleDirectory(tmp_path)
    for etag, text in (("a", b"1"), ("b", b"2")):
        directory.add(Bundle(etag, "1", {"workers.json": text}))
        before = (tmp_path / "workers.json").stat().st_ino if etag == "b" else None
        directory.switch(etag)
        assert (tmp_path / "workers.json").read_bytes() == text
        assert (tmp_path / "workers.json").stat().st_ino != before, "replaced, and never half of one"
    directory.switch("a")
    assert (tmp_path / "workers.json").read_bytes() == b"1"


def test_other_bundles_have_no_such_file(tmp_path: Path) -> None:
    directory = BundleDirectory(tmp_path)
    directory.add(Bundle("a", "1", {"tensorzero.toml": b""}))
    directory.switch("a")
    assert not (tmp_path / "workers.json").exists()
