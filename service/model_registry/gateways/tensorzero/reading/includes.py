"""Finds the files that a project's templates include. Pure: names and texts only.

The gateway refuses names that are computed. Files that are templates by their ending are found all the same, so that
they are at hand when such a name is mended.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import PurePosixPath

_ENDINGS = frozenset({".minijinja", ".jinja", ".jinja2", ".j2"})
_LOADS = re.compile(r"[-+]?\s*(?:include|import|from|extends)\b")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")


def includable(templates: Iterable[str], names: Collection[str], read: Callable[[str], str]) -> set[str]:
    """Return which of these files the templates include, directly or not, and those that are templates by their ending.

    Args:
        templates: the texts of the templates that the configuration names.
        names: the files below `base_path`, by their path from there.
        read: returns a file's text.
    """
    found = {name for name in names if PurePosixPath(name).suffix.lower() in _ENDINGS}
    todo = [*templates, *map(read, found)]
    while todo:
        for name in map(posixpath.normpath, _loaded(todo.pop())):
            if name in names and name not in found:
                found.add(name)
                todo.append(read(name))
    return found


def _loaded(template: str) -> Iterator[str]:
    """Yield every text in quotes in a tag that loads a template: names are also lists, and `'a' if x else 'b'`."""
    for rest in template.split("{%")[1:]:
        tag = rest.partition("%}")[0]
        if _LOADS.match(tag):
            yield from (double or single for double, single in _QUOTED.findall(tag))
