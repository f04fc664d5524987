"""The fixtures together use everything that projects can contain: all keys for files, and all old syntax."""

from __future__ import annotations

from typing import Any

import tomli

from model_registry.gateways.tensorzero.reading.file_references import FILE_KEYS, file_references
from model_registry.gateways.tensorzero.rules.deprecated import DEPRECATED, deprecated_syntax
from support import paths

FIXTURES = paths.FIXTURES / "tensorzero"
ROLES = ("system", "user", "assistant")

UNREACHABLE = {
    *(("functions", "*", "variants", "*", f"{kind}_schema") for kind in (*ROLES, "output")),
    *(("functions", "*", "variants", "*", asked, "system_instructions") for asked in ("evaluator", "fuser")),
    *(
        (owner, "*", "evaluators", "*", "variants", "*", asked, *ending)
        for owner in ("functions", "evaluations")
        for asked in ("evaluator", "fuser")
        for ending in (("templates", "*", "path"), *((f"{role}_template",) for role in ROLES))
    ),
}
"""In the gateway's list of keys, and then refused by it as unknown. Measured with 2026.6.0."""


def trees() -> list[dict[str, Any]]:
    files = (file for file in FIXTURES.rglob("*.toml") if file.name != "pyproject.toml")
    return [tomli.loads(file.read_text("utf-8-sig")) for file in files]


def fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(key in {"*", part} for key, part in zip(pattern, path, strict=True))


def test_every_key_that_names_a_file_is_in_a_project_that_the_gateway_takes() -> None:
    used = [path for tree in trees() for path, _ in file_references(tree)]
    unused = {pattern for pattern in FILE_KEYS if not any(fits(path, pattern) for path in used)}
    assert unused == UNREACHABLE


def test_every_old_way_to_say_something_is_in_a_project() -> None:
    said = " ".join(reason.message for tree in trees() for reason in deprecated_syntax(tree))
    # The base URL with what the gateway adds is refused: every call would fail.
    missing = {entry.replacement for entry in DEPRECATED if entry.replacement not in said}
    assert missing == {"leave /chat/completions out; the gateway adds it, and now calls it twice"}
