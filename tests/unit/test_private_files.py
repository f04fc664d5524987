"""Files that are replaced atomically, and files written by commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_registry.cli.output_file import write_output
from model_registry.private_files import FILE_MODE, replace_file, replace_private


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """As a service manager may set it."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize(("replace", "mode"), [(replace_file, 0o640), (replace_private, FILE_MODE)])
def test_a_file_has_the_mode_that_is_meant(tmp_path: Path, replace: Callable[[Path, bytes], None], mode: int) -> None:
    file = tmp_path / "file"
    for content in (b"one", b"two"):
        replace(file, content)
        assert file.read_bytes() == content
        assert file.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [file]


def test_an_error_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        replace_file(tmp_path / "file", b"new")

    assert caught.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_that_is_written_again_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    write_output(file, "one")
    assert file.stat().st_mode & 0o777 == 0o640

    file.chmod(mode)
    write_output(file, "two")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", mode)


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to(target)
    write_output(link, "é\n")

    assert link.is_symlink()
    assert target.read_text("utf-8") == "é\n"

    reader, writer = os.pipe()
    write_output(Path(f"/dev/fd/{writer}"), "through a pipe")
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "through a pipe"
