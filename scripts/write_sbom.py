"""Write the bill of materials of the image: every package of a lock with its hashes, as CycloneDX 1.6 JSON.

python scripts/write_sbom.py --output sbom.cdx.json                 from requirements.lock beside pyproject.toml
python scripts/write_sbom.py --lock LOCK --output FILE              from another lock

Needs only Python, so that the build of the image can run the same command. The same lock and version result in the same
bytes: the file contains neither times nor random numbers.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")
_HASH = re.compile(r"^    --hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?$")
_SERIAL_NUMBERS = uuid.UUID("6a3f0d3e-5c61-4e0f-9b0b-2f3f0a3f9c11")
"""Namespace of the serial numbers, chosen at random. Equal content has an equal serial number."""


def components(lock: str) -> list[dict[str, Any]]:
    """Every package of a lock. Raises ValueError for a line that it cannot parse: no package may be left out."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lock.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if pinned := _PINNED.match(line):
            found.append(_component(**pinned.groupdict()))
        elif (hashed := _HASH.match(line)) and found:
            found[-1]["hashes"].append({"alg": "SHA-256", "content": hashed["hash"]})
        else:
            raise ValueError(f"Line {number} of the lock is neither a pinned package nor a hash: {line!r}")
    if without := [entry["name"] for entry in found if not entry["hashes"]]:
        raise ValueError(f"Without a hash in the lock: {', '.join(without)}")
    return found


def _component(name: str, version: str, marker: str | None) -> dict[str, Any]:
    package = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package,
        "name": name,
        "version": version,
        "purl": package,
        # One for each file of this version on the index; the machine determines which one is installed.
        "hashes": [],
    }
    if marker:
        component["properties"] = [{"name": "model-registry:only-where", "value": marker}]
    return component


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The complete bill of materials, with the service itself as its subject."""
    listed = components(lock)
    reference = f"pkg:pypi/{project['name']}@{project['version']}"
    subject = {
        "type": "application",
        "bom-ref": reference,
        "name": project["name"],
        "version": project["version"],
        "description": project["description"],
        "purl": reference,
    }
    body = {
        "version": 1,
        "metadata": {"component": subject},
        "components": listed,
        "dependencies": [{"ref": reference, "dependsOn": [entry["bom-ref"] for entry in listed]}],
    }
    serial = uuid.uuid5(_SERIAL_NUMBERS, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", **body}


def main() -> None:
    """Read the lock and write the bill of materials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--project", type=Path, default=ROOT / "pyproject.toml")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    bill = document(arguments.lock.read_text("utf-8"), tomllib.loads(arguments.project.read_text("utf-8"))["project"])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(bill, indent=2) + "\n", "utf-8")
    print(f"{arguments.output}: {len(bill['components'])} packages")


if __name__ == "__main__":
    main()
