"""Dependencies: neither a range nor a lock allows a release known to be compromised."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-litellm.lock")
WITH_THE_GATEWAY = LOCKS[:2]

# Releases that attackers published, of packages that are near us: those we name, and neighbours that a later change may
# bring in. litellm: PYSEC-2026-2, and 1.107.0. The others: the projects' own advisories, 2024 to 2026.
COMPROMISED = {
    "litellm": ["1.82.7", "1.82.8", "1.107.0"],
    "mistralai": ["2.4.6"],
    "telnyx": ["4.87.1", "4.87.2"],
    "lightning": ["2.6.2", "2.6.3"],
    "ultralytics": ["8.3.41", "8.3.42", "8.3.45", "8.3.46"],
    "guardrails-ai": ["0.10.1"],
}


def requirements() -> Iterator[Requirement]:
    """Every range in pyproject.toml, and in the one list beside it."""
    project = PROJECT["project"]
    groups = [
        PROJECT["build-system"]["requires"],
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    beside = [line for line in (ROOT / "requirements-litellm.in").read_text().splitlines() if not line.startswith("#")]
    return (Requirement(text) for group in (*groups, beside) for text in group)


def locked(name: str) -> dict[str, str]:
    pinned = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pinned}


def test_no_range_allows_a_release_that_is_known_to_be_compromised() -> None:
    allowed = [
        f"{requirement} allows {version}"
        for requirement in requirements()
        for version in COMPROMISED.get(canonicalize_name(requirement.name), [])
        if requirement.specifier.contains(version, prereleases=True)
    ]
    assert allowed == []
    assert "litellm" in {requirement.name for requirement in requirements()}, "else this looks at nothing"


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_holds_a_release_that_is_known_to_be_compromised(lock: str) -> None:
    held = locked(lock)
    assert len(held) > 50
    assert {name: held[name] for name in COMPROMISED if held.get(name) in COMPROMISED[name]} == {}


def test_the_gateway_is_exactly_the_last_release_everywhere() -> None:
    ranges = {str(requirement.specifier) for requirement in requirements() if requirement.name == "tensorzero"}
    assert ranges == {"==2026.6.0"}
    assert {locked(lock)["tensorzero"] for lock in WITH_THE_GATEWAY} == {"2026.6.0"}
