"""Reading a configuration again that has changed a little: what was read before is kept, table by table.

Reading 10,000 models takes a second, and one change is one table. Knows nothing of what is in the tables.
"""

from __future__ import annotations

from typing import Any

from model_registry.errors import InvalidConfiguration
from model_registry.tensorzero.parse import unchecked_project
from model_registry.tensorzero.project import Project, Table


class Rereader:
    """Remembers the tables of the last configuration by their text. For one thread."""

    def __init__(self) -> None:
        self._known: dict[str, Table] = {}

    def project(self, name: str, text: str) -> Project:
        """The project of this one file, as `unchecked_project` reads it; a table may be begun twice, though.

        Raises:
            InvalidConfiguration: the text is no TOML.
        """
        tree = self._tree(text)
        return unchecked_project({name: text}) if tree is None else Project({name: text}, {name: tree}, tree)

    def _tree(self, text: str) -> Table | None:
        """The tables, or None when the text does not fall into tables at its empty lines."""
        known: dict[str, Table] = {}
        tree: Table = {}
        for chunk in text.split("\n\n"):
            if all(not line or line.startswith("#") for line in chunk.split("\n")):
                continue
            # A table of an array belongs to the one before it; other beginnings are in the middle of something.
            if not chunk.lstrip("\n").startswith("[") or "[[" in chunk:
                return None
            try:
                table = self._known.get(chunk)
                known[chunk] = unchecked_project({"": chunk}).tree if table is None else table
            except InvalidConfiguration:
                return None
            if not _merge(tree, known[chunk]):
                return None
        self._known = known
        return tree


def _merge(target: Table, source: Table) -> bool:
    """Merge without touching the source; False when something is there twice."""
    for key, value in source.items():
        here: Any = target.get(key)
        if key not in target:
            target[key] = _copied(value)
        elif not isinstance(here, dict) or not isinstance(value, dict) or not value or not _merge(here, value):
            return False
    return True


def _copied(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, dict) else value
