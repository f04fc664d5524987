"""The snapshot on disk: whole or not at all, private, and only that of the same database."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from model_registry.entities.change import Operation
from model_registry.errors import Reason
from model_registry.gateways.publishing.exclusions import Exclusion, Part
from model_registry.gateways.publishing.published import AcceptedFile, Served
from model_registry.gateways.scope import default_gateway
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.snapshot_file import SavedSnapshot, SnapshotFile
from support.catalogues import Catalogue, contents, stored

SOURCE = "http://postgrest#model_registry"


@pytest.fixture
def saved() -> SavedSnapshot:
    return SavedSnapshot(stored().snapshot(), 1_700_000_000.5)


def test_what_is_saved_is_loaded(tmp_path: Path, saved: SavedSnapshot) -> None:
    SnapshotFile(tmp_path / "not" / "there yet", SOURCE).save(saved)

    loaded = SnapshotFile(tmp_path / "not" / "there yet", SOURCE).load()

    assert loaded is not None
    assert loaded.current_at == saved.current_at
    assert contents(loaded.snapshot) == contents(saved.snapshot)


def test_where_nothing_was_saved_nothing_is_loaded(tmp_path: Path) -> None:
    assert SnapshotFile(tmp_path, SOURCE).load() is None


def test_only_its_owner_can_read_it_whatever_the_umask(tmp_path: Path, saved: SavedSnapshot) -> None:
    before = os.umask(0)
    try:
        SnapshotFile(tmp_path, SOURCE).save(saved)
    finally:
        os.umask(before)

    files = list(tmp_path.iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600]


def test_a_snapshot_of_another_database_is_not_loaded(tmp_path: Path, saved: SavedSnapshot) -> None:
    SnapshotFile(tmp_path, SOURCE).save(saved)

    assert SnapshotFile(tmp_path, "http://postgrest#another_schema").load() is None


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda _content: b"",
    "zeros, as after a power cut": lambda content: b"\0" * len(content),
    "not JSON": lambda _content: b"\xff\xfe",
    "a list": lambda _content: b"[]",
    "null": lambda _content: b"null",
    "of a later format": lambda content: content.replace(b'"format":1', b'"format":2'),
    "without revision": lambda content: content.replace(b'"revision"', b'"x"'),
    "tables are a list": lambda content: _with(content, tables=[]),
    "a table is a number": lambda content: _with(content, tables={"models": 7}),
    "a row is a number": lambda content: _with(content, tables={"models": [7]}),
    "a row without its name": lambda content: _with(content, tables={"models": [{"id": "1"}]}),
    "no time": lambda content: _with(content, current_at=None),
}


def _with(content: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(content), **fields}).encode()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_passed_over_and_replaced_by_the_next(
    tmp_path: Path, saved: SavedSnapshot, damage: str
) -> None:
    file = SnapshotFile(tmp_path, SOURCE)
    file.save(saved)
    path = tmp_path / "snapshot.json"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))

    assert file.load() is None
    file.save(saved)
    assert file.load() is not None


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow: the nearest that needs no disk. Python ignores the signal that goes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_and_is_said_once(tmp_path: Path, saved: SavedSnapshot) -> None:
    file = SnapshotFile(tmp_path, SOURCE)
    assert file.save(saved)
    before = (tmp_path / "snapshot.json").read_bytes()

    with structlog.testing.capture_logs() as logs:
        with full_disk():
            assert not file.save(SavedSnapshot(Snapshot.empty(), 1.0))
            assert not file.save(SavedSnapshot(Snapshot.empty(), 2.0))
        assert (tmp_path / "snapshot.json").read_bytes() == before
        assert list(tmp_path.iterdir()) == [tmp_path / "snapshot.json"], "no half of a file stays"
        assert file.save(SavedSnapshot(Snapshot.empty(), 3.0))

    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("warning", "could not be saved; the last file is kept"),
        ("info", "saved again"),
    ]


def test_the_accepted_configuration_survives_a_full_disk_too(tmp_path: Path) -> None:
    file = AcceptedFile(tmp_path, default_gateway())
    accepted = Served(7, {"tensorzero.toml": b"[gateway]\n"}, "rules", 1.0)
    file.save(accepted, "registry")

    with structlog.testing.capture_logs(), full_disk():
        file.save(replace(accepted, revision=8), "registry")

    assert file.load("registry") == accepted
    assert stat.S_IMODE((tmp_path / "accepted.json").stat().st_mode) == 0o600


def test_what_was_left_out_is_kept_with_the_accepted_configuration(tmp_path: Path) -> None:
    file = AcceptedFile(tmp_path, default_gateway())
    reasons = (Reason("tools.t", "is wrong"), Reason("", "the gateway says: no"))
    row = Exclusion(Part("config_sections", "1", "t"), "section", "tools.t", reasons, 6)
    settings = Exclusion(Part("config_sections", "2", as_accepted=True), "section", "gateway", reasons, 7)
    accepted = Served(7, {}, "rules", 1.0, excluded=(row, settings), settings={"gateway": {"debug": True}})
    file.save(accepted, "registry")
    assert file.load("registry") == accepted

    document = json.loads((tmp_path / "accepted.json").read_text())
    older = {key: value for key, value in document.items() if key not in {"excluded", "settings"}}
    (tmp_path / "accepted.json").write_text(json.dumps(older))
    assert file.load("registry") == replace(accepted, excluded=(), settings=None)


def test_the_directory_is_its_owners_and_one_that_was_shared_stays_shared(tmp_path: Path, saved: SavedSnapshot) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    SnapshotFile(shared, SOURCE).save(saved)
    SnapshotFile(tmp_path / "own", SOURCE).save(saved)

    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


def test_drafts_of_a_process_that_was_killed_do_not_fill_the_disk(tmp_path: Path, saved: SavedSnapshot) -> None:
    SnapshotFile(tmp_path, SOURCE).save(saved)
    old, young = tmp_path / ".snapshot.json.1.abcd.tmp", tmp_path / ".snapshot.json.2.abcd.tmp"
    old.touch()
    os.utime(old, (1.0, 1.0))
    young.touch()

    assert SnapshotFile(tmp_path, SOURCE).load() is not None

    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "snapshot.json"]


def test_a_directory_that_cannot_be_made_is_no_reason_to_stop(tmp_path: Path, saved: SavedSnapshot) -> None:
    (tmp_path / "file").write_text("in the way")
    file = SnapshotFile(tmp_path / "file" / "cache", SOURCE)

    file.save(saved)

    assert file.load() is None


def test_numbers_that_only_jsonb_can_hold_do_not_keep_it_from_being_saved(tmp_path: Path) -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    change = Operation("model_providers", "update", provider, {"metadata": {"x": 10**30}})
    snapshot = catalogue.snapshot().preview([change])

    SnapshotFile(tmp_path, SOURCE).save(SavedSnapshot(snapshot, 1.0))

    loaded = SnapshotFile(tmp_path, SOURCE).load()
    assert loaded is not None
    assert loaded.snapshot.providers[provider].metadata["x"] == pytest.approx(10**30)
