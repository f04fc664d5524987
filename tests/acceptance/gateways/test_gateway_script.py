"""deploy/gateway.sh with a gateway that only prints its arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT
from support.processes import Program, alive, wait_until

SCRIPT = ROOT / "deploy" / "gateway.sh"
FAKE = """#!/bin/sh
echo "started $2 $3"
case $2 in *dies*) exit 1 ;; esac
exec sleep 60
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    fake = tmp_path / "bin" / "gateway"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    (fake.parent / "litellm").symlink_to(fake)
    for name in ("one", "two", "dies"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
        (tmp_path / "bundles" / name / "tensorzero.toml").touch()
    (tmp_path / "bundles" / "litellm").mkdir()
    (tmp_path / "bundles" / "litellm" / "config.yaml").touch()
    switch(tmp_path, "one")
    return tmp_path


@pytest.fixture
def script(out: Path) -> Iterator[Program]:
    path = {"PATH": f"{out / 'bin'}:{os.environ['PATH']}"}
    program = Program(["sh", str(SCRIPT), str(out / "current"), "--flag"], out / "log", path)
    yield program
    program.end()


def switch(out: Path, name: str) -> None:
    (out / "new").symlink_to(Path("bundles", name))
    (out / "new").rename(out / "current")


def test_it_starts_the_gateway_on_the_bundle_and_anew_when_the_link_moves(out: Path, script: Program) -> None:
    script.wait_for(r"started \S+/bundles/one/tensorzero.toml --flag", 10)
    switch(out, "two")
    script.wait_for(r"started \S+/bundles/two/tensorzero.toml", 10)
    family = script.family()

    assert script.stop() == 0
    wait_until(lambda: not alive(family), 10)


def test_a_gateway_that_dies_is_started_again_and_leaves_when_the_link_goes_back(out: Path, script: Program) -> None:
    script.wait_for("bundles/one", 10)
    switch(out, "dies")
    script.wait_for("bundles/dies/.*(?s:.*)bundles/dies/", 10)
    switch(out, "one")
    script.wait_for("bundles/dies/(?s:.*)bundles/one/", 10)


def test_a_bundle_for_litellm_is_litellms(out: Path, script: Program) -> None:
    script.wait_for("bundles/one", 10)
    switch(out, "litellm")
    script.wait_for(r"started \S+/bundles/litellm/config.yaml --flag", 10)
