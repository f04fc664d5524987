"""Runs the console blocks of the documentation as printed, in a clone, where port 8110 is free and `gpu-1` is a host.

Started by `unshare --net --mount` with a network of its own: `python -m ... CLONE PAGE...`. Ollama and vLLM are stubs.
Prints a JSON line a page: its exit status, and what was printed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from support.processes import Program
from support.stub_servers import StubNodeServer
from support.waiting import LONGEST

_HOSTS = ("gpu-1",)
_BEFORE = """
set -eE -o pipefail
shopt -s expand_aliases
trap 'echo "FAILED: $BASH_COMMAND"' ERR
"""
_SECONDS = 2 * LONGEST
ELSEWHERE = {
    "make run": "runs all the time, beside the pages",
    "docker ": "there is no Docker engine here; tests/unit/project/test_compose.py reads the file",
    "pip install": "there is no network here; the clone's environment has the package",
    "model-registry knowledge import huggingface": "asks huggingface.co",
}
"""Beginnings of commands that are not run, and why."""


def main() -> None:
    """Start the stubs and `make run`, then run each page in a shell of its own."""
    clone = Path(sys.argv[1])
    _prepare(clone)
    with StubNodeServer(11434, {"qwen3:8b": {}}), StubNodeServer(8000, {"Qwen/Qwen3-8B": {}}):
        registry = Program(["make", "-C", str(clone), "run"], clone / "up.log")
        try:
            registry.wait_for("ready  ")
            for page in sys.argv[2:]:
                sys.stdout.write(json.dumps({"page": page, **_run(clone, page)}) + "\n")
                sys.stdout.flush()
        finally:
            registry.tell(signal.SIGTERM)  # the rest ends with this process, the first of its namespace


def _prepare(clone: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.NamedTemporaryFile("w", delete=False) as hosts:
        hosts.write(Path("/etc/hosts").read_text())
        hosts.writelines(f"127.0.0.1 {name}\n" for name in _HOSTS)
    subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    curl = clone / ".shims" / "curl"  # an answer of 4xx is a failure of the page
    curl.parent.mkdir()
    curl.write_text('#!/bin/sh\nexec /usr/bin/curl --fail-with-body "$@"\n')
    curl.chmod(0o755)


def _run(clone: Path, page: str) -> dict[str, object]:
    script = (
        _BEFORE
        + f'PATH="{clone}/.shims:$PATH"\n'
        + "\n".join(
            command for command in commands((clone / page).read_text()) if not command.startswith(tuple(ELSEWHERE))
        )
    )
    try:
        done = subprocess.run(
            ["bash", "-c", f"exec 2>&1\n{script}"],
            cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"status": None, "output": f"still running after {_SECONDS:.0f} s"}
    return {"status": done.returncode, "output": done.stdout[-3000:]}


def commands(page: str) -> list[str]:
    """Return the commands of a page's console blocks: what stands behind `$ `, with the lines that continue it."""
    found: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        is_open = False
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            elif is_open:
                found[-1] += "\n" + line
            else:
                continue  # what the command printed
            is_open = _continues(found[-1])
    return found


def _continues(command: str) -> bool:
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
    return command.endswith("\\") or "unexpected EOF" in checked.stderr or "here-document" in checked.stderr


if __name__ == "__main__":
    main()
