"""A rendered configuration with its referenced files, for a gateway's directory. Pure."""

from __future__ import annotations

from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.own_content import own_files
from model_registry.gateways.tensorzero.project import below
from model_registry.gateways.tensorzero.rendering.render import Rendered
from model_registry.snapshot.snapshot import Snapshot

_PLACEHOLDER = ".keep"
"""Keeps an empty directory; its name starts with a dot, so templates cannot include it."""


def bundle(snapshot: Snapshot, rendered: Rendered) -> dict[str, bytes]:
    """Return the files of a gateway's directory, by path: `tensorzero.toml` and the referenced files."""
    files = {file.path: file.content.encode() for file in own_files(snapshot)}
    directory = _base_path(snapshot)
    if directory is not None and directory != "." and not below(files, directory):
        # The gateway refuses a missing directory.
        files[f"{directory}/{_PLACEHOLDER}"] = b""
    return dict(sorted((files | {CONFIG_FILE: rendered.text.encode()}).items()))


def _base_path(snapshot: Snapshot) -> str | None:
    """Return the directory that templates may include from, if it is inside the bundle."""
    for section in snapshot.sections.where("name", "gateway"):
        access = section.value.get("template_filesystem_access")
        path = access.get("base_path") if isinstance(access, dict) else None
        if isinstance(path, str) and not path.startswith(("/", "../")) and path != "..":
            return path
    return None
