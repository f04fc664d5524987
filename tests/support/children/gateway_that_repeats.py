"""A gateway's process that prints whatever its configuration says, and refuses it."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(directory: str, _readable: list[str]) -> None:
    """Print the text, which is in hexadecimal digits in a comment; then answer."""
    for line in sys.stdin:
        job = json.loads(line)
        text = bytes.fromhex(Path(directory, job["path"]).read_text().removeprefix("# ")).decode()
        sys.stdout.write(text + "\n" + job["mark"] + json.dumps({"refusal": "refused"}) + "\n")
        sys.stdout.flush()
