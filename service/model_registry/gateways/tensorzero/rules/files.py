"""Checks that the referenced files exist. Reads none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.rules.shape import refused

_DIRECTORY = ("gateway", "template_filesystem_access", "base_path")


def missing_files(tree: Mapping[str, Any], has_file: Callable[[str], bool]) -> Iterator[Reason]:
    """Yield references to missing files. Absolute paths are on the gateway's machine, and not checked."""
    for path, value in file_references(dict(tree)):
        if path == _DIRECTORY or not isinstance(value, str) or not value or PurePosixPath(value).is_absolute():
            continue
        if not has_file(value):
            yield refused(path, f"the registry holds no file {value!r}; put the file there first, or name another one")
