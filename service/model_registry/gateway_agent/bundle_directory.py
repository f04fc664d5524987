"""The directory that a gateway reads: bundles beside each other, and a link to the current one.

    DIR/current            -> bundles/<etag>
    DIR/bundles/<etag>/    a configuration, such as tensorzero.toml, and what it names; whole, or not there
    DIR/workers.json       the current bundle's list of workers, where it is one (SMG)
    DIR/state.json         the bundle being rolled out, the last good one, and the one that failed

A reader who follows `current` sees one bundle or another, never a mixture, and never half of one.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from model_registry.client.bundle import write_bundle
from model_registry.gateway_agent.bundle_source import Bundle
from model_registry.private_files import replace_file

KEPT = 3

_WATCHED = "workers.json"
"""A file that its gateway watches, and not the link: SMG sees at once that it was replaced, and the link moved only at
its next look, up to a second later."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """State that survives a restart: state.json, by its keys."""

    good: str | None = None
    """The last bundle that a gateway came up with."""
    trial: str | None = None
    """The bundle being rolled out."""
    failed: str | None = None
    """The newest bundle that no gateway came up with: not tried again until the registry serves another."""


class BundleDirectory:
    """One directory. Errors: OSError; the bundles and the link stay as they were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bundles = path / "bundles"
        self._link = path / "current"
        self._state = path / "state.json"
        self._bundles.mkdir(parents=True, exist_ok=True)
        for draft in self._bundles.glob(".new-*"):
            shutil.rmtree(draft, ignore_errors=True)

    @property
    def current(self) -> str | None:
        """The bundle that the link points to."""
        try:
            target = self._link.readlink()
        except OSError:
            return None
        return target.name if self._link.is_dir() else None

    @property
    def remembered(self) -> Remembered:
        """The state that was noted last."""
        try:
            return Remembered(**json.loads(self._state.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return Remembered(good=self.current)

    def note(self, **changes: str | None) -> None:
        """Change the state that survives a restart."""
        content = json.dumps(asdict(replace(self.remembered, **changes))).encode()
        replace_file(self._state, content, sync=True)

    def add(self, bundle: Bundle) -> None:
        """Write a bundle to a directory of its own, whole or not at all."""
        target = self._bundles / bundle.etag
        if target.is_dir():
            return
        draft = self._bundles / f".new-{bundle.etag}"
        try:
            write_bundle(bundle.files, draft, sync=True)
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def switch(self, etag: str) -> None:
        """Make a bundle the current one, in one step."""
        os.utime(self._bundles / etag)  # the order of use is the order of tidying up
        draft = self._link.with_name(f".new-{self._link.name}")
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path("bundles", etag))
        draft.replace(self._link)
        with suppress(FileNotFoundError):
            replace_file(self.path / _WATCHED, (self._bundles / etag / _WATCHED).read_bytes())

    def has(self, etag: str) -> bool:
        """Whether this bundle is there."""
        return (self._bundles / etag).is_dir()

    def tidy(self) -> None:
        """Remove all bundles but the last three and those that are still needed."""
        remembered = self.remembered
        needed = {self.current, remembered.good, remembered.trial}
        bundles = [path for path in self._bundles.iterdir() if not path.name.startswith(".")]
        bundles.sort(key=lambda path: (path.name in needed, path.stat().st_mtime_ns), reverse=True)
        for path in bundles[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
