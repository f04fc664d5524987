"""What the how-to tells people to start SMG with is what the stack starts it with."""

from __future__ import annotations

import re
import shlex

from model_registry.devstack.smg import FOLLOWING
from support.paths import ROOT


def test_the_how_to_names_the_options_of_the_stack() -> None:
    page = (ROOT / "docs" / "how-to" / "run-smg.md").read_text()
    blocks = re.findall(r"^```sh\n(smg launch .*?)^```", page, re.DOTALL | re.MULTILINE)
    (command,) = [shlex.split(block.replace("\\\n", " ")) for block in blocks]
    assert tuple(command[-len(FOLLOWING) :]) == FOLLOWING
