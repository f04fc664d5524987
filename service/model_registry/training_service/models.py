"""The models that a training service serves: read from files, a module or a registry, and the last good list kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_registry.client.blocking import Client
from model_registry.client.requests import Call, json_object
from model_registry.entities.offer import PassedOver
from model_registry.entities.training_entry import Entry, TrainingEntries, read_entries
from model_registry.errors import RegistryError, SourceUnreadable
from model_registry.installed_module import ask_module

log = logging.getLogger(__name__)

ALL = "all"
"""What a service without a framework of its own calls its framework."""
SHIPPED = Path(__file__).parent / "definitions"
"""A few models of timm, ultralytics and Hugging Face, to begin with."""

_MODULE_SECONDS = 60.0
"""Frameworks take long to import."""

Documents = Mapping[str, object]
"""Where a document comes from -> the document."""


def of_files(place: Path) -> Documents:
    """Read a JSON file, or all of a directory. Errors: SourceUnreadable."""
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not files:
        raise SourceUnreadable(f"There is no .json file in {place}.")
    documents = {}
    for file in files:
        try:
            documents[str(file)] = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise SourceUnreadable(f"{file} cannot be read: {error}") from error
    return documents


def of_module(module: str) -> Documents:
    """Ask an installed module, or one of a directory, for its models. Takes at most 60 s. Errors: SourceUnreadable."""

    async def ask() -> object:
        async with asyncio.timeout(_MODULE_SECONDS):
            return await ask_module(module)

    try:
        return {module: asyncio.run(ask())}
    except TimeoutError:
        raise SourceUnreadable(f"the module {module} has not answered within {_MODULE_SECONDS:g} s") from None


def of_registry(url: str, framework: str | None) -> Documents:
    """Ask a model registry. Retries as the client does, for half a minute at most. Errors: RegistryUnreachable."""
    with Client(url) as client:
        return {url: client.ask(Call("GET", "/models/list", json_object, {"framework": framework}))}


@dataclass
class ServedModels:
    """The current list, and why it is not newer."""

    read: Callable[[], Documents]
    """Errors: RegistryError."""
    framework: str | None
    entries: tuple[Entry, ...] = ()
    schemas: dict[str, Any] = field(default_factory=dict)
    """Task -> the schema of its options, where the documents define any as `config_schemas`."""
    error: str | None = "not read yet"
    """Why the last attempt failed; None: it did not."""
    is_loaded: bool = False
    """Whether an attempt ever succeeded."""
    _reported: tuple[object, ...] = ()

    @property
    def name(self) -> str:
        """The framework as answers name it."""
        return self.framework or ALL

    def refresh(self) -> None:
        """Read anew. What fails leaves the last good list, and is logged once."""
        try:
            documents = self.read()
            lists = [read_entries(document, self.framework) for document in documents.values()]
        except RegistryError as error:
            if self.error != error.message:
                log.warning("the models cannot be read%s: %s", ", the last list stays" * self.is_loaded, error.message)
            self.error = error.message
            return
        self._take(lists, documents)

    def find(self, name: str) -> Entry | None:
        """Find a model by its name, or by `framework/name`. Of several frameworks with one name the first has it."""
        fitting = (e for e in self.entries if name in (e["model_name"], f"{e['framework']}/{e['model_name']}"))
        return next(fitting, None)

    def _take(self, lists: list[TrainingEntries], documents: Documents) -> None:
        found: dict[tuple[str, str], Entry] = {}
        unread: list[PassedOver] = []
        for entries in lists:
            unread += entries.unread
            for entry in entries.entries:
                key = entry["framework"], entry["model_name"]
                if found.setdefault(key, entry) is not entry:
                    unread.append(PassedOver("/".join(key), "stands in several lists; the first counts"))
        own = tuple(entry for entry in found.values() if self.framework in (None, entry["framework"]))
        self.entries = own or tuple(found.values())
        self.schemas = {task: schema for document in documents.values() for task, schema in _schemas(document).items()}
        self.error, self.is_loaded = None, True
        self._report(unread, is_known=bool(own))

    def _report(self, unread: list[PassedOver], *, is_known: bool) -> None:
        """Say once what was left out, and that no model is of the framework."""
        now = (len(self.entries), is_known, *unread)
        if now == self._reported:
            return
        self._reported = now
        log.info("%d models of %s", len(self.entries), self.name)
        if not is_known:
            log.warning("no model is of the framework %s, so models of all are served", self.framework)
        for row in unread:
            log.warning("left out: %s: %s", row.name, row.reason)


def _schemas(document: object) -> dict[str, Any]:
    schemas = document.get("config_schemas") if isinstance(document, Mapping) else None
    return dict(schemas) if isinstance(schemas, Mapping) else {}
