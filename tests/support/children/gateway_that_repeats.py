"""A gateway's process that prints everything in its configuration, and refuses it."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(directory: str, _readable: list[str]) -> None:
    """Print the text, which a comment contains in hexadecimal digits; then respond."""
    for line in sys.stdin:
        job = json.loads(line)
        text = bytes.fromhex(Path(directory, job["path"]).read_text().removeprefix("# ")).decode()
        sys.stdout.write(text + "\n" + job["mark"] + json.dumps({"refusal": "refused"}) + "\n")
        sys.stdout.flush()
