"""The same attacks from a process without a sandbox, to prove that they work."""

from __future__ import annotations

import json
import sys

from support.children import attacks


def main(targets: attacks.Targets) -> None:
    """Print what succeeded."""
    sys.stdout.write(json.dumps(attacks.attempts(targets)))
    sys.stdout.flush()
