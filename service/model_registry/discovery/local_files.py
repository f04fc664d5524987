"""Reads sources that are files, below the one directory that the operator allows. Blocks: to be run in a thread.

A source's address comes from a caller of the API: it never decides by itself what is opened.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import yaml

from model_registry.entities.json_types import Json
from model_registry.entities.offer import PassedOver, SourceContent
from model_registry.entities.source import Source
from model_registry.errors import RegistryError, SourceUnreadable
from model_registry.garden.offers import is_garden_document, read_garden
from model_registry.imports.sources.asking import read_price_map
from model_registry.imports.sources.csv_rows import read_csv
from model_registry.imports.sources.litellm_prices import is_price_map
from model_registry.imports.sources.training_service import read_training_models
from model_registry.imports.sources.yaml_document import read_yaml

LARGEST = 16 * 2**20
"""Bytes of one file, and four times that of a directory."""
MOST_FILES = 1000
_SUFFIXES = frozenset({".json", ".yaml", ".yml", ".csv"})


def read_files(source: Source, allowed: Path | None, provider: str, today: date) -> SourceContent:
    """Read a file, or all files of a directory: Model Garden documents, training entries, price maps, CSV tables.

    A file of a directory that cannot be read is `unread`, and ends no other. Errors: SourceUnreadable.
    """
    place = place_of(source, allowed)
    if source.kind == "file":
        return _read(place, source, provider, today)
    contents, size = [], 0
    files = list(_files(place))
    for file in files[:MOST_FILES]:
        try:
            size += file.stat().st_size
            if size > 4 * LARGEST:
                raise SourceUnreadable(f"the files of the directory have more than {4 * LARGEST >> 20} MB")
            contents.append(_read(file, source, provider, today))
        except (RegistryError, OSError) as error:
            reason = error.message if isinstance(error, RegistryError) else str(error.strerror)
            contents.append(SourceContent((), unread=(PassedOver(file.name, reason),)))
    if len(files) > MOST_FILES:
        reason = f"not read: a source has at most {MOST_FILES} files"
        contents.append(SourceContent((), unread=tuple(PassedOver(file.name, reason) for file in files[MOST_FILES:])))
    return SourceContent.joined(contents)


def place_of(source: Source, allowed: Path | None) -> Path:
    """Find the file or directory of a source. Errors: SourceUnreadable, also for links that lead out of `allowed`."""
    if allowed is None:
        raise SourceUnreadable("the operator allows no files: MODEL_REGISTRY_SOURCES_DIR is not set")
    root = allowed.resolve()
    place = (root / (source.address or "")).resolve()
    if not place.is_relative_to(root):
        raise SourceUnreadable(f"{source.address} is not below MODEL_REGISTRY_SOURCES_DIR")
    right = place.is_dir() if source.kind == "directory" else place.is_file()
    if not right:
        raise SourceUnreadable(f"there is no {source.kind} {source.address} below MODEL_REGISTRY_SOURCES_DIR")
    return place


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory in the order of their names. Links are left out: they may lead anywhere."""
    for file in sorted(directory.iterdir()):
        if file.suffix.lower() in _SUFFIXES and file.is_file() and not file.is_symlink():
            yield file


def _text(file: Path) -> str:
    """Read what is a file now: one that was looked at may have been replaced. Errors: OSError, ValueError."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):  # a pipe would be waited for without end
            raise SourceUnreadable(f"{file.name} is no file")
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise SourceUnreadable(f"{file.name} has more than {LARGEST >> 20} MB")
    return content.decode("utf-8-sig")


def _read(file: Path, source: Source, provider: str, today: date) -> SourceContent:
    try:
        text = _text(file)
        if file.suffix.lower() == ".csv":
            return read_csv(text, provider)
        document: Json = json.loads(text) if file.suffix.lower() == ".json" else read_yaml(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SourceUnreadable(f"{file.name} cannot be read: {str(error)[:200]}") from error
    if is_garden_document(document):
        return read_garden(document)
    if is_price_map(document):
        return read_price_map(document, source.options.get("only", ()), today)
    return read_training_models(document, framework=source.framework, provider=provider, api_base=None)
