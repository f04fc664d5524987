"""Finds a LiteLLM configuration in the file that holds it: itself, Helm values, a ConfigMap, any other YAML. Pure.

A configuration is a mapping anywhere in a document, or a text in one that is YAML itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.litellm.config import INCLUDE, MODEL_LIST, SETTINGS, Path, Table, dotted, is_config
from model_registry.gateways.litellm.reading.yaml_text import YamlDocument, read_yaml, refusal

_DEEPEST = 12
"""Levels below which no configuration is looked for."""
_MOST_TEXTS = 3
"""Texts in texts: an application's Helm values that hold a ConfigMap's text."""


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """A configuration, and where it stands."""

    file: str
    name: str
    """The key that holds it: a ConfigMap's `config.yaml`; the file's own name where the file is the configuration."""
    path: Path
    """Of that key, in the document."""
    tree: Table
    document: YamlDocument
    first_line: int = 0
    """How many lines of the file are before the document."""

    @property
    def includes(self) -> list[Any]:
        """What is included, as it is written."""
        value = self.tree.get(INCLUDE)
        return value if isinstance(value, list) else []

    def line(self, path: Path) -> int:
        """Return the file's line of a value of the configuration."""
        return self.first_line + self.document.line((*self.path, *path))

    def place(self, path: Path = ()) -> str:
        """Return the place of a value for a message."""
        return f"{self.file}: line {self.line(path)}"


def find_configs(file: str, text: str) -> list[FoundConfig]:
    """Find the configurations in a file, in their order. None: it holds something else.

    Raises:
        InvalidConfiguration: the file, or a text in it that looks like a configuration, is not valid YAML.
    """
    documents = read_yaml(file, text)
    return [found for document in documents for found in _in_document(file, file, document, 0, _MOST_TEXTS)]


def the_config(file: str, found: list[FoundConfig]) -> FoundConfig:
    """Return the only one of a file's configurations that no other one of them includes.

    Raises:
        InvalidConfiguration: there is none, or there are several.
    """
    included = {str(name).rpartition("/")[2] for one in found for name in one.includes}
    roots = [one for one in found if one.name not in included] or found
    if not roots:
        message = (
            f"holds no LiteLLM configuration: no {MODEL_LIST}, {', '.join(SETTINGS)}, neither at the top nor in a key"
        )
        raise refusal(file, 1, message)
    if len(roots) > 1:
        places = ", ".join(f"{dotted(one.path) or 'a document'} at line {one.line(())}" for one in roots)
        message = f"holds {len(roots)} LiteLLM configurations ({places}); put the wanted one into a file of its own"
        raise refusal(file, roots[1].line(()), message)
    return roots[0]


def _in_document(file: str, name: str, document: YamlDocument, before: int, texts: int) -> Iterator[FoundConfig]:
    yield from _in_value(file, name, (), document.value, document, before, texts)


def _in_value(  # noqa: PLR0913, PLR0917 (where it stands)
    file: str, name: str, path: Path, value: object, document: YamlDocument, before: int, texts: int
) -> Iterator[FoundConfig]:
    if isinstance(value, dict) and is_config(value, whole=not path):
        yield FoundConfig(file, name, path, value, document, before)
    elif len(path) > _DEEPEST:
        return
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _in_value(file, key, (*path, key), item, document, before, texts)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _in_value(file, name, (*path, str(number)), item, document, before, texts)
    elif isinstance(value, str) and texts and _looks_like_one(value):
        # A block scalar's text begins in the line after its key.
        line = before + document.line(path)
        for inner in _inner(file, value, line):
            yield from _in_document(file, name, inner, line, texts - 1)


def _looks_like_one(text: str) -> bool:
    """Whether a text is meant as a configuration: a script that writes one begins with something else than a key."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith(("#", "---"))), "")
    begins = re.match(r"[\w.\"'-]+\s*:(\s|$)", first) is not None
    return begins and any(f"{name}:" in text for name in (MODEL_LIST, *SETTINGS))


def _inner(file: str, text: str, line: int) -> list[YamlDocument]:
    try:
        return read_yaml(file, text)
    except InvalidConfiguration as error:
        (reason,) = error.reasons
        number = int(reason.where.rpartition(" ")[2])
        raise refusal(file, line + number, reason.message) from None
