"""The last good answer to each question: for `If-None-Match`, and for when the registry is away."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_registry.private_files import make_private_directory, replace_private

log = logging.getLogger(__name__)

_KEPT = 128


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and when the registry last confirmed it."""

    etag: str
    content: bytes
    at: float
    """Epoch seconds."""
    value: Any = None
    """The parsed content, in memory only."""


class Answers:
    """The newest 128 answers. With a directory, one file each; its time of modification is when it was current."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._failing = False

    def get(self, key: str) -> Kept | None:
        """Return the last answer to a question, if there is one."""
        kept = self._kept.get(key) or self._read(key)
        if kept is not None:
            self._hold(key, kept)
        return kept

    def put(self, key: str, kept: Kept) -> None:
        """Keep an answer. A disk that cannot be written is logged once: the registry still has the answer."""
        self._hold(key, kept)
        if self._directory is None:
            return
        file = self._file(key)
        try:
            make_private_directory(self._directory)
            head = json.dumps({"key": key, "etag": kept.etag}).encode()
            replace_private(file, head + b"\n" + kept.content, modified=kept.at)
            self._tidy()
        except OSError as error:
            if not self._failing:
                log.warning("an answer could not be kept in %s: %s", self._directory, error)
            self._failing = True
        else:
            self._failing = False

    def confirm(self, key: str, at: float) -> None:
        """Note that an answer is still current."""
        if key in self._kept:
            self._kept[key] = replace(self._kept[key], at=at)
        if self._directory is not None:
            with suppress(OSError):
                os.utime(self._file(key), (at, at))

    def _hold(self, key: str, kept: Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _read(self, key: str) -> Kept | None:
        if self._directory is None:
            return None
        file = self._file(key)
        try:
            head, _, content = file.read_bytes().partition(b"\n")
            saved = json.loads(head)
            return Kept(str(saved["etag"]), content, file.stat().st_mtime) if saved["key"] == key else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read; going on without it: %s", file, error)
            return None

    def _file(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        return (self._directory or Path()) / f"{name}.answer"

    def _tidy(self) -> None:
        files = sorted((self._directory or Path()).glob("*.answer"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_KEPT]:
            file.unlink(missing_ok=True)
