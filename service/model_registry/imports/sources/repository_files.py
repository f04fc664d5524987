"""Reads the files of a repository, as the Hub lists them in `siblings`: which hold weights, and how large they are.

Sizes are listed in answers to `?blobs=true` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from model_registry.entities.weight_bits import gguf_type
from model_registry.imports.sources.model_config import Document, number_in, object_in, text_in

_SAFETENSORS = re.compile(r"model(?:-\d{5,6}-of-(\d{5,6}))?\.safetensors")
_SHARD = re.compile(r"-\d{5}-of-(\d{5})$")
_GGUF = re.compile(r"(.+)\.gguf(?:\.part\d+of(\d+)|([.-](?:split|part)[.-]?[a-z0-9]{1,3}))?", re.IGNORECASE)
"""A file's name; pieces of one that was cut up: `.part1of2` tells how many there are, `-split-a` does not."""
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A model in one GGUF file, or in the shards of one."""

    name: str
    kind: str | None
    """Its type, such as Q4_K_M."""
    shards: int
    bytes: float | None
    """None: the size of some shard is not known, or a shard is missing."""


def _files(info: Document) -> Iterator[tuple[str, float | None]]:
    """Yield the name and the size of each file."""
    siblings = info.get("siblings")
    for entry in siblings[:_MOST_FILES] if isinstance(siblings, list) else ():
        name = text_in(entry, "rfilename") if isinstance(entry, Mapping) else None
        if name is not None:
            yield name, number_in(entry, "size") or number_in(object_in(entry, "lfs"), "size")


def safetensors_bytes(info: Document) -> float | None:
    """Return the size of the weights in `model.safetensors`, or in all of its shards; None if a size is not known."""
    by_count: dict[int, list[float | None]] = {}
    for name, size in _files(info):
        if match := _SAFETENSORS.fullmatch(name):
            by_count.setdefault(int(match[1] or 1), []).append(size)
    for count, sizes in sorted(by_count.items()):
        known = [size for size in sizes if size]
        if len(known) == count:
            return sum(known)
    return None


def is_gguf(info: Document, model_id: str) -> bool:
    """Whether the model is in GGUF files. Of a repository that has others too, if its name ends in a type."""
    if object_in(object_in(info, "safetensors"), "parameters") and ":" not in model_id:
        return False
    return bool(object_in(info, "gguf") or gguf_files(info, model_id))


def gguf_files(info: Document, model_id: str) -> list[GgufFile]:
    """Return the models in GGUF files; only one type where the model's name ends in it: `owner/repository:Q4_K_M`.

    None where the repository has no file of that type.
    """
    shards: dict[str, list[tuple[int, float | None]]] = {}
    for name, size in _files(info):
        match = _GGUF.fullmatch(name)
        # Beside models there are projectors of images and matrices of importance.
        if match is None or re.search(r"mmproj|imatrix", name, re.IGNORECASE):
            continue
        stem, pieces, cut = match.groups()
        shard = _SHARD.search(stem)
        key = stem[: shard.start()] if shard else stem
        count = int(shard[1]) if shard else int(pieces or 1)
        shards.setdefault(key, []).append((count, None if cut else size))
    files = []
    for key, parts in shards.items():
        sizes = [size for _, size in parts if size]
        count = parts[0][0]
        whole = len(sizes) == len(parts) == count
        kind = gguf_type(key.rpartition("/")[2]) or gguf_type(key)
        files.append(GgufFile(f"{key}.gguf", kind, count, sum(sizes) if whole else None))
    wanted = wanted_type(model_id)
    return [f for f in files if f.kind == wanted] if wanted else files


def wanted_type(model_id: str) -> str | None:
    """Return the type in which a model's name ends; other tags, such as `latest`, are none."""
    return gguf_type(model_id.rpartition(":")[2]) if ":" in model_id else None
