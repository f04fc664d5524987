"""Bundles as they come: what is in them is checked before anything is written."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from model_registry.client.bundle import unpack_bundle, write_bundle
from model_registry.errors import RegistryUnreachable
from model_registry.gateways.bundle import archive
from model_registry.gateways.tensorzero.project import project_path_problem

ELSEWHERE = ["../x", "/x", "a/../../x", "a\\b", "a\nb", "x" * 256, "/".join("a" * 40), "a/"]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_no_project_can_have_is_refused_wherever_it_comes_from(path: str) -> None:
    with pytest.raises(RegistryUnreachable, match="refused"):
        unpack_bundle(archive({"tensorzero.toml": b"", path: b""}))
    assert project_path_problem(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_an_entry_that_is_no_file_is_refused(kind: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("tensorzero.toml"))
        entry = tarfile.TarInfo("a")
        entry.type, entry.linkname = kind, "tensorzero.toml"
        tar.addfile(entry)

    with pytest.raises(RegistryUnreachable, match="'a' is not a file"):
        unpack_bundle(packed.getvalue())


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_is_there() -> None:
    packed = archive({"tensorzero.toml": b"", "a": b"0" * 600, "b": b"0" * 600})

    assert len(unpack_bundle(packed, most_bytes=1200)) == 3
    with pytest.raises(RegistryUnreachable, match="unpacks to more than 1,199 bytes"):
        unpack_bundle(packed, most_bytes=1199)


def test_the_configuration_is_written_last(tmp_path: Path) -> None:
    files = {"tensorzero.toml": b"1", "a.txt": b"2", "z/b.txt": b"3"}
    (tmp_path / "z").touch()  # where a directory has to be
    with pytest.raises(OSError, match="z"):
        write_bundle(files, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "z"]
