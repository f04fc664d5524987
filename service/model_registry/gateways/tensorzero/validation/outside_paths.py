"""Collects the paths outside a project that its configuration names, which a check by its owner may read."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tomli

from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.reading.project_files import is_file
from model_registry.gateways.tensorzero.rules.schema_references import is_schema
from model_registry.gateways.tensorzero.validation.dummy_credentials import strings

_MOST = 1000


def named_outside(files: Mapping[str, bytes], configuration: Iterable[str]) -> tuple[Path, ...]:
    """Return the absolute paths of templates, schemas and credentials, and of everything that schemas reference."""
    outside: dict[Path, None] = {}
    schemas = [content for path, content in files.items() if path.endswith(".json")]
    for name in configuration:
        try:
            tree = tomli.loads(files[name].decode("utf-8-sig"))
            texts = [value for _, value in strings(tree)]
        except (ValueError, RecursionError):
            continue  # the rules report it
        outside |= dict.fromkeys(Path(value[6:]) for value in texts if value.startswith("path::/"))
        for key, value in file_references(tree):
            if isinstance(value, str) and posixpath.isabs(value):
                outside[Path(value)] = None
                schemas += [Path(value).read_bytes()] if is_schema(key) and is_file(Path(value)) else []
    while schemas and len(outside) < _MOST:
        for path in _referred(schemas.pop()):
            if path not in outside:
                outside[path] = None
                schemas += [path.read_bytes()] if is_file(path) else []
    return tuple(outside)


def _referred(schema: bytes) -> Iterator[Path]:
    tree: Any = None
    with suppress(ValueError, RecursionError):
        tree = json.loads(schema)
    with suppress(RecursionError):
        for key, value in strings(tree):
            if key in {"$ref", "$dynamicRef", "$schema"} and value.startswith("file:///"):
                yield Path(unquote(urlsplit(value).path))
