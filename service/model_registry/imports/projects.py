"""Projects: from which of them a row was imported, and into which gateway an import goes. Pure.

A row that several projects have alike belongs to all of them: `billing, search`. A row of no project is people's, or
was imported before projects had names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import StringConstraints

from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.entities.model import Model

OnConflict = Literal["rename", "overwrite", "keep"]
"""What becomes of a row of another project that says something else. Without it, the import is refused.

`rename`: the project's own goes beside it, under another name. `overwrite`: it becomes as the project has it, and
belongs to that. `keep`: it stays, and the project uses it.
"""

DEFAULT_PROJECT = "default"
"""The project of an import over HTTP that names none."""

_PROJECT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_LONGEST = 60
ProjectName = Annotated[str, StringConstraints(max_length=_LONGEST, pattern=rf"^{_PROJECT}$")]
"""Of letters, digits and `_ . -`: the names of what is renamed begin with it."""

_BETWEEN = ", "
_NAME = "name"
"""The field whose source is the projects that a model came from: what the name means is theirs."""

Owners = frozenset[str]
"""The projects that a row belongs to."""
NOBODY: Owners = frozenset()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an import goes, and how it treats what is there."""

    gateway: str = DEFAULT_GATEWAY
    """The gateway that gets the functions, sections and files."""
    project: str | None = None
    """Whose they are. None: nobody's, as people's rows."""
    on_conflict: OnConflict | None = None

    @property
    def me(self) -> Owners:
        """The project, as the only owner of its rows."""
        return frozenset({self.project}) if self.project else NOBODY


def project_named(directory: str) -> str:
    """Make a project's name of a directory's: other characters become hyphens."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", directory).lstrip("-.")[:_LONGEST].rstrip("-")
    return name or DEFAULT_PROJECT


def read_owners(text: str | None) -> Owners:
    """Read the projects of a row."""
    return frozenset(text.split(_BETWEEN)) if text else NOBODY


def written_owners(owners: Iterable[str]) -> str | None:
    """Write the projects of a row, in one order. None: nobody's."""
    return _BETWEEN.join(sorted(owners)) or None


def model_owners(row: Model, gateway: str) -> Owners:
    """Return the projects of a model as one gateway names them. Those of other gateways have its name in front."""
    own = f"{_plain(gateway)}/"
    return frozenset(name.removeprefix(own) for name in read_owners(row.field_sources.get(_NAME)))


def model_marks(old: Model | None, owners: Owners, gateway: str) -> dict[str, object]:
    """Return the columns that give a model to these projects; none where it is theirs."""
    if owners == (model_owners(old, gateway) if old else NOBODY):
        return {}
    own = _plain(gateway)
    mark = {_NAME: written_owners(name if "/" in name else f"{own}/{name}" for name in owners)}
    return {"field_sources_changes": mark} if old else {"field_sources": mark}


def _plain(gateway: str) -> str:
    return gateway.replace(",", "%2C").replace("/", "%2F")
