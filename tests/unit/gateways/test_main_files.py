"""Agents know a bundle of every kind of gateway by its main file."""

from __future__ import annotations

from model_registry.file_paths import MAIN_FILES
from model_registry.gateways.kinds import KINDS


def test_every_kinds_main_file_is_known() -> None:
    assert {kind.main_file for kind in KINDS.values()} <= set(MAIN_FILES)
