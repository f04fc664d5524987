"""Shows two configurations as a unified diff: `tensorzero.toml`, then each referenced file. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff

from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.rendering.render import RenderCache, render
from model_registry.snapshot.snapshot import Snapshot

_NO_NEWLINE = "\\ No newline at end of file\n"


def configuration_diff(before: Snapshot, after: Snapshot) -> str:
    """Return the rendered configurations' difference as `diff -u` shows it; empty when they are equal."""
    cache = RenderCache()  # the second rendering only costs the difference
    old, new = _texts(before, cache), _texts(after, cache)
    paths = [CONFIG_FILE, *sorted((old.keys() | new.keys()) - {CONFIG_FILE})]
    labels = (f"revision {before.revision}", f"revision {after.revision}")
    return "".join(line for path in paths for line in _file_diff(path, old.get(path), new.get(path), labels))


def _texts(snapshot: Snapshot, cache: RenderCache) -> dict[str, str]:
    return {**{file.path: file.content for file in snapshot.files}, CONFIG_FILE: render(snapshot, cache).text}


def _file_diff(path: str, old: str | None, new: str | None, labels: tuple[str, str]) -> Iterator[str]:
    if old == new:
        return
    names = (f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null")
    # Keep line ends, so that a last line without a newline is shown as diff shows it.
    for line in unified_diff(_lines(old), _lines(new), *names, *labels):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(text: str | None) -> list[str]:
    # Not splitlines, which also splits at characters that are no line ends to diff and patch.
    lines = (text or "").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
