"""Reads a YAML document of somebody else: one that is small must not become one that is endless. Pure."""

from __future__ import annotations

import yaml

from model_registry.entities.json_types import Json

LARGEST = 2**20
"""Characters. A second for each 200 KB: longer lists are better kept as JSON."""
_MOST_NODES = 1_000_000
"""Of a document in which every alias is written out: a few lines of aliases of aliases mean billions."""
LONGEST_NUMBER = 300
"""Characters. YAML takes `59:59:59:...` for one number, and takes minutes to work out a long one."""
NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


def read_yaml(text: str) -> Json:
    """Return the document. Errors: ValueError, yaml.YAMLError, RecursionError."""
    if len(text) > LARGEST:
        message = f"it has more than {LARGEST >> 20} MB, which takes too long as YAML: write it as JSON"
        raise ValueError(message)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _nodes(node, {}) > _MOST_NODES:
            message = f"its aliases make it longer than {_MOST_NODES:,} values"
            raise ValueError(message)
        return _constructed(loader, node)
    finally:
        loader.dispose()


def _constructed(loader: yaml.SafeLoader, node: yaml.Node) -> Json:
    try:
        document: Json = loader.construct_document(node)
    except (AttributeError, LookupError) as error:  # of `!!timestamp soon`; of `!!bool maybe` and `!!int ''`
        message = "a value in it is not of the type that its tag says"
        raise ValueError(message) from error
    return document


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Count a node and all below it, each as often as it is meant. Errors: ValueError, where it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            message = f"it has a number of {len(node.value):,} characters"
            raise ValueError(message)
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # until it is counted
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_nodes(part, known) for part in below)
    elif not known[id(node)]:
        message = "an alias in it stands for what it is in"
        raise ValueError(message)
    return known[id(node)]
