"""The LiteLLM configurations of `tests/fixtures/litellm/`."""

from __future__ import annotations

from support import paths

DIRECTORY = paths.FIXTURES / "litellm"
NAMES = sorted(path.name for path in DIRECTORY.glob("*.yaml"))


def files_of(name: str) -> dict[str, str]:
    """Return a configuration's text, with all files that it could include."""
    included = {f"included/{path.name}": path.read_text() for path in (DIRECTORY / "included").iterdir()}
    return {name: (DIRECTORY / name).read_text()} | (included if name == "company.yaml" else {})
