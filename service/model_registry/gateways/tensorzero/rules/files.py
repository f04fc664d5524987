"""Checks the files that a configuration refers to: that they exist, and that no schema in them leads elsewhere. Pure.

A gateway would fetch any address in a JSON schema, from disk and from the network. Only references within the same
schema are allowed. Others would have to be resolved exactly as the gateway's library does in each draft, and a mistake
would open a file of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import BASE_PATH, Path, dotted, located
from model_registry.gateways.tensorzero.reading.file_references import file_references, is_schema
from model_registry.gateways.tensorzero.rules.shape import refused


def missing_files(tree: Mapping[str, Any], has_file: Callable[[str], bool]) -> Iterator[Reason]:
    """Yield references to missing files. Absolute paths are on the gateway's machine, and not checked."""
    for path, value in file_references(dict(tree)):
        if path == BASE_PATH or not isinstance(value, str) or not value or PurePosixPath(value).is_absolute():
            continue
        if not has_file(value):
            yield refused(path, f"the registry holds no file {value!r}; put the file there first, or name another one")


_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_IDENTITIES = frozenset({"$id", "id"})
_DEEPEST = 200
_MOST = 20
"""Reasons per schema, at most."""

_META_SCHEMAS = frozenset({
    *(f"http://json-schema.org/draft-0{draft}/schema" for draft in (3, 4, 6, 7)),
    *(f"https://json-schema.org/draft/{draft}/schema" for draft in ("2019-09", "2020-12")),
    "http://json-schema.org/schema", "https://json-schema.org/schema",
})  # fmt: skip
"""Meta-schemas. The gateway has them built in, or refuses them without fetching."""


def leading_outside(references: Iterable[tuple[Path, Any]], name: str, files: Mapping[str, bytes]) -> Iterator[Reason]:
    """Yield references that make the gateway open something outside the project.

    Args:
        references: the configuration's keys that name files, and their values.
        name: the path of its TOML file.
        files: the whole project, by normalised path.
    """
    for key, value in references:
        if not isinstance(value, str):
            yield Reason(dotted(key), "must be the path of a file, as a string")
        elif "\0" in value:
            yield Reason(dotted(key), "has a NUL character in it; no path has one")
        elif is_schema(key) and (content := files.get(located(name, value))) is not None:
            for pointer, message in schema_problems(content):
                yield Reason(dotted(key), f"{value!r}, at {pointer or '/'}: {message}")


@lru_cache(maxsize=512)
def schema_problems(content: bytes) -> tuple[tuple[str, str], ...]:
    """Return the bad references of a JSON schema: a JSON pointer, and the remedy."""
    try:
        schema = json.loads(content, object_pairs_hook=_table)
        return tuple(_problems(schema))[:_MOST]
    except RecursionError:
        return (("", "is nested too deeply"),)
    except ValueError as error:
        return (("", f"is not valid JSON: {error}"),)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):  # parsers differ in which of the two they keep
        twice = next(key for key, _ in pairs if [other for other, _ in pairs].count(key) > 1)
        raise ValueError(f"the key {twice[:50]!r} is there twice")
    return table


def _problems(schema: object) -> Iterator[tuple[str, str]]:
    todo: list[tuple[Any, str, int]] = [(schema, "", 0)]
    while todo:
        value, pointer, depth = todo.pop()
        if depth > _DEEPEST:
            raise RecursionError
        if isinstance(value, list):
            todo += [(item, f"{pointer}/{number}", depth + 1) for number, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
                if isinstance(item, str) and (problem := _problem(key, item, at_top=not pointer)):
                    yield here, problem
                todo.append((item, here, depth + 1))


def _problem(key: str, value: str, *, at_top: bool) -> str | None:
    known = value.removesuffix("#") in _META_SCHEMAS
    if key in _REFERENCES and not value.startswith("#") and not known:
        return (
            f"{key} {value[:200]!r} leads out of this schema, and the gateway would fetch it; "
            "write what it refers to into this file, under $defs, and refer to it as '#/$defs/NAME'"
        )
    if key == "$schema" and not known:
        return f"$schema {value[:200]!r} is no published draft; write https://json-schema.org/draft/2020-12/schema"
    if key in _IDENTITIES and not value.startswith("#"):
        if value.lower().lstrip().startswith(("file:", "/", "\\")):
            return f"{key} {value[:200]!r} is a place on a machine, and references would be looked for there; remove it"
        if key == "$id" and not at_top:
            return f"$id {value[:200]!r} makes references lead elsewhere; remove it, and refer to '#/$defs/NAME'"
    return None
