"""The bill of materials, made with the same command as in the build of the image."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from packaging.utils import canonicalize_name
from referencing import Registry, Resource

from support.paths import ROOT


def bill_of_materials(output: Path) -> bytes:
    """Run the command that the image is built with, and nothing of our environment."""
    command = re.search(
        r"^RUN python (scripts/write_sbom.py --output) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    assert command
    script, option = command[1].split()
    subprocess.run([sys.executable, "-I", ROOT / script, option, output], check=True, capture_output=True, timeout=60)
    return output.read_bytes()


def test_every_locked_package_is_listed_with_its_hashes_in_the_form_of_the_standard(
    tmp_path: Path,
) -> None:
    bill = json.loads(bill_of_materials(tmp_path / "sbom.json"))

    lock = (ROOT / "requirements.lock").read_text()
    hashes = {
        canonicalize_name(entry[0]): set(re.findall(r"--hash=sha256:(\w+)", entry[1]))
        for entry in re.findall(r"^([\w.-]+)==(.*?)(?=^[\w.-]+==|\Z)", lock, re.MULTILINE | re.DOTALL)
    }
    listed = {canonicalize_name(entry["name"]): entry for entry in bill["components"]}
    pinned = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    assert {name: entry["version"] for name, entry in listed.items()} == {canonicalize_name(n): v for n, v in pinned}
    assert {name: {found["content"] for found in entry["hashes"]} for name, entry in listed.items()} == hashes
    assert (
        bill["metadata"]["component"]["version"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )

    schemas = files("cyclonedx.schema") / "_res"
    resources = [json.loads(path.read_text("utf-8")) for path in schemas.iterdir() if path.name.endswith(".json")]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in resources
    )
    (schema,) = [schema for schema in resources if schema["$id"].endswith("/bom-1.6.schema.json")]
    validator = Draft7Validator(schema, registry=registry)
    assert [error.message for error in validator.iter_errors(bill)] == []
    assert list(validator.iter_errors(bill | {"specVersion": 7})), "else nothing was checked"


def test_the_same_lock_makes_the_same_bytes(tmp_path: Path) -> None:
    assert bill_of_materials(tmp_path / "a.json") == bill_of_materials(tmp_path / "b.json")
