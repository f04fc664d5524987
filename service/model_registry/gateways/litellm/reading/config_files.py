"""Reads a LiteLLM configuration from disk, with the files that it includes."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.litellm.config import INCLUDE
from model_registry.gateways.litellm.reading.containers import find_configs
from model_registry.gateways.litellm.reading.yaml_text import read_yaml


def read_config_files(path: str | Path) -> tuple[dict[str, str], str]:
    """Read a configuration: path from its directory -> text, and the configuration's own path.

    Included files are looked for where LiteLLM looks for them; parsing reports those that are not there.

    Raises:
        InvalidConfiguration: a file cannot be read, or is not valid YAML.
    """
    root = Path(path)
    files = {root.name: _text(root)}
    waiting = [root.name]
    while waiting:
        by = waiting.pop()
        for name in _included(by, files[by]):
            for start in (posixpath.dirname(by), ""):
                found = posixpath.normpath(posixpath.join(start, name))
                if found not in files and (root.parent / found).is_file():
                    files[found] = _text(root.parent / found)
                    waiting.append(found)
                if found in files:
                    break
    return files, root.name


def _included(file: str, text: str) -> list[str]:
    trees = [found.tree for found in find_configs(file, text)]
    trees = trees or [document.value for document in read_yaml(file, text) if isinstance(document.value, dict)]
    values = [tree.get(INCLUDE) for tree in trees]
    return [name for value in values if isinstance(value, list) for name in value if isinstance(name, str) and name]


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        message = f"cannot be read: {error.strerror or os.strerror(error.errno or 0)}"
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
    reason = Reason(str(file), message)
    raise InvalidConfiguration(f"The configuration cannot be read: {reason}", reasons=[reason])
