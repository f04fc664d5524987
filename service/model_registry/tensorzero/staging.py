"""Files of a project laid out in a directory, so that a gateway on this machine can judge them.

What belongs to another machine, or needs more than a gateway, is put aside and named. Judges nothing itself.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
import tomli_w

from model_registry.tensorzero.dummy_credentials import environment, service_account_json
from model_registry.tensorzero.file_keys import file_references
from model_registry.tensorzero.gateway import set_aside
from model_registry.tensorzero.project import dotted

_FILE_VARIABLE = re.compile(r"path_from_env::([^\"'\\\n]*)")
_VARIABLE = re.compile(r"env::([^\"'\\\n]*)")
_NEEDS_A_LOOK = (
    *("rate_limiting", "object_storage"),
    *("_template", "_schema", "templates", "schemas", "instructions", "input_wrappers", "typescript", "parameters"),
    "\\",
)
"""What might have to be put aside. A text without it is judged as it is: reading 10,000 models takes a second."""

_GATEWAY = "gateway"

_PLACEHOLDERS = {"json": "{}", "text": ""}


@dataclass(frozen=True, slots=True)
class Staged:
    """Where the gateway finds a project, and what it needs to load it."""

    path: Path
    variables: dict[str, str]
    unasked: tuple[str, ...]


@contextmanager
def staged(files: Mapping[str, bytes], configuration: tuple[str, ...], *, trusted: bool) -> Iterator[Staged]:
    """Lay a project out; it is gone afterwards.

    Args:
        files: all files by path; paths that leave the project are left out.
        configuration: which of them are the configuration.
        trusted: whether the files that it names outside the project may be read on this machine.

    Raises:
        tomli.TOMLDecodeError: the configuration has to be looked into, and is no TOML.
    """
    with tempfile.TemporaryDirectory(prefix="judged-") as name:
        directory = Path(name)
        project, account = directory / "project", directory / "service-account.json"
        unasked: list[str] = []
        words: list[str] = []
        for path in (path for path in files if is_inside(path)):
            target = project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = files[path]
            if path in configuration:
                text = content.decode("utf-8-sig")
                words += (f"path_from_env::{name}" for name in _FILE_VARIABLE.findall(text))
                words += (f"env::{name}" for name in _VARIABLE.findall(text))
                if any(word in text for word in _NEEDS_A_LOOK) or _sets_the_gateway(text):
                    content = _put_aside(text, path, directory, unasked, trusted=trusted).encode()
            target.write_bytes(content)
        account.write_text(service_account_json() if _mentions_google(files, configuration) else "{}")
        where = project / configuration[0] if len(configuration) == 1 else project / _glob(configuration)
        yield Staged(where, environment({"words": list(dict.fromkeys(words))}, str(account)), tuple(unasked))


def _glob(names: Iterable[str]) -> str:
    """These files and no others, which may be there for templates to include."""
    return "{" + ",".join(re.sub(r"[\[*?{},\\]", r"[\g<0>]", name) for name in names) + "}"


def is_inside(path: str) -> bool:
    """Whether a path stays in the directory that it is relative to."""
    normal = posixpath.normpath(path)
    return not posixpath.isabs(path) and normal not in (".", "..") and not normal.startswith("../")


def _sets_the_gateway(text: str) -> bool:
    """Whether it is named outside comments. By hand: a pattern takes a tenth of a second for 10,000 models."""
    at = text.find(_GATEWAY)
    while at >= 0 and "#" in text[text.rfind("\n", 0, at) + 1 : at]:
        at = text.find(_GATEWAY, at + 1)
    return at >= 0


def _put_aside(text: str, path: str, directory: Path, unasked: list[str], *, trusted: bool) -> str:
    tree = tomli.loads(text)
    unasked += set_aside(tree)
    if not trusted:
        for key, value in list(file_references(tree)):
            if isinstance(value, str) and not is_inside(posixpath.join(posixpath.dirname(path), value or "x")):
                _replace(tree, key, _placeholder(directory, key))
                unasked.append(f"not judged, because it is on the gateway's machine: {dotted(key)}")
    return tomli_w.dumps(tree) if unasked else text


def _placeholder(directory: Path, key: tuple[str, ...]) -> str:
    if key[-1] == "base_path":
        nothing = directory / "nothing"
        nothing.mkdir(exist_ok=True)
        return str(nothing)
    kind = "json" if "schema" in key[-1] or "schemas" in key or key[-1] == "parameters" else "text"
    file = directory / f"elsewhere.{kind}"
    file.write_text(_PLACEHOLDERS[kind])
    return str(file)


def _replace(tree: dict[str, Any], key: tuple[str, ...], value: str) -> None:
    *parents, last = key
    for parent in parents:
        tree = tree[parent]
    tree[last] = value


def _mentions_google(files: Mapping[str, bytes], configuration: tuple[str, ...]) -> bool:
    return any(word in files[path] for path in configuration for word in (b"gcp_vertex", b"path_from_env"))
