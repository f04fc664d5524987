"""Which sections and files are TensorZero's: a gateway can have the content of one of another kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.gateways.tensorzero.project import MODELLED, SECTIONS
from model_registry.snapshot.snapshot import Snapshot

_KIND = "tensorzero"


def own_sections(snapshot: Snapshot) -> Iterator[ConfigSection]:
    """Yield the sections that are part of a project."""
    return (section for section in snapshot.sections if is_own_section(snapshot, section))


def own_files(snapshot: Snapshot) -> Iterator[ConfigFile]:
    """Yield the files that are part of a project."""
    return (file for file in snapshot.files if _is_of_kind(snapshot, file.gateway))


def others_sections(snapshot: Snapshot) -> Iterator[ConfigSection]:
    """Yield the sections that a gateway of another kind has."""
    return (section for section in snapshot.sections if not is_own_section(snapshot, section))


def others_files(snapshot: Snapshot) -> Iterator[ConfigFile]:
    """Yield the files that a gateway of another kind has."""
    return (file for file in snapshot.files if not _is_of_kind(snapshot, file.gateway))


def is_own_section(snapshot: Snapshot, section: ConfigSection) -> bool:
    """Whether a section is part of a project."""
    return section.name in SECTIONS | MODELLED or _is_of_kind(snapshot, section.gateway)


def _is_of_kind(snapshot: Snapshot, gateway: str) -> bool:
    rows = snapshot.gateways.where("name", gateway)
    return not rows or rows[0].kind == _KIND
