"""Ask pip-audit for known vulnerabilities of everything in the locks.

python scripts/audit.py                                   all locks
python scripts/audit.py --lock FILE                       another one; may be repeated
python scripts/audit.py -- --vulnerability-service osv    what follows -- goes to pip-audit

Exit code 0: audited, no known vulnerability. 1: at least one known vulnerability. 3: NOT audited: the service cannot be
reached, or has no data about the packages. pip-audit alone reports "No known vulnerabilities found" if it has none.
So the script first asks about a release with a well-known vulnerability, and trusts only a service that reports it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_KNOWN_TO_BE_VULNERABLE = "jinja2==2.10"  # CVE-2019-10906
_SECONDS = 600
_ANOTHER_SERVICE = 'make audit ARGS="-- --vulnerability-service osv" asks another one'

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What pip-audit reported about one list of packages."""

    vulnerable: tuple[str, ...]
    unknown: tuple[str, ...]
    """Packages that the service does not know, and that are therefore not audited."""
    failure: str | None = None


def read(output: str, failure: str) -> Answer:
    """Read pip-audit's JSON; if there is none, `failure` gives the reason."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer((), (), failure.strip().splitlines()[-1] if failure.strip() else "pip-audit printed nothing")
    return Answer(
        tuple(
            f"{entry['name']} {entry['version']}: {found['id']}"
            f" (fixed in {', '.join(found['fix_versions']) or 'no release yet'})"
            for entry in dependencies
            for found in entry.get("vulns", [])
        ),
        tuple(entry["name"] for entry in dependencies if "skip_reason" in entry),
    )


def ask(lock: Path, options: list[str]) -> Answer:
    """Run pip-audit on a lock: up to 10 minutes, no retry; it queries one package after the other."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip", "--no-deps"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Answer((), (), f"no answer within {_SECONDS} s")
    return read(done.stdout, done.stderr)


def audit(locks: list[Path], options: list[str]) -> int:
    """Audit each lock and print the result."""
    with tempfile.TemporaryDirectory() as directory:
        known = Path(directory, "known.txt")
        known.write_text(f"{_KNOWN_TO_BE_VULNERABLE}\n")
        probe = ask(known, options)
    if not probe.vulnerable:
        why = probe.failure or f"the service does not know that {_KNOWN_TO_BE_VULNERABLE} is vulnerable"
        return _not_audited(
            f'{why}. Run it where a vulnerability service can be reached (ARGS="-- --vulnerability-service osv")'
        )
    worst = CLEAN
    for lock in locks:
        answer = ask(lock, options)
        if answer.failure:
            return _not_audited(f"{lock.name}: {answer.failure}")
        for line in answer.vulnerable:
            print(f"{lock.name}: {line}")
        if answer.vulnerable:
            worst = VULNERABLE
        elif answer.unknown:
            worst = worst or _not_audited(f"{lock.name}: the service does not know {', '.join(answer.unknown)}")
        else:
            print(f"{lock.name}: no known vulnerabilities")
    return worst


def _not_audited(why: str) -> int:
    print(f"NOT AUDITED: {why}", file=sys.stderr)
    return NOT_AUDITED


def main() -> int:
    """Audit the given locks, or all locks of the project."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, action="append")
    arguments = parser.parse_args(given[:cut])
    return audit(arguments.lock or sorted(ROOT.glob("requirements*.lock")), given[cut + 1 :])


if __name__ == "__main__":
    sys.exit(main())
