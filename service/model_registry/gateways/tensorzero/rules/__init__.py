"""Rules on a configuration's tables: what the gateway refuses, and what it accepts and then cannot use.

`shape.py` has the combinators, the other files describe one table each. Nothing here renders, reads or writes;
`gateways/tensorzero/validation/gateway_process.py` asks the real gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import SECTIONS
from model_registry.gateways.tensorzero.rules.files import missing_files
from model_registry.gateways.tensorzero.rules.functions import FUNCTIONS
from model_registry.gateways.tensorzero.rules.models import EMBEDDING_MODELS, MODELS
from model_registry.gateways.tensorzero.rules.sections import GATEWAY, OTHER_SECTIONS
from model_registry.gateways.tensorzero.rules.shape import Shape, Surroundings, TableOf, refused, surroundings_of

_RULES: Mapping[str, Shape] = {
    **dict.fromkeys(SECTIONS, TableOf({})),
    **OTHER_SECTIONS,
    "gateway": GATEWAY,
    "models": MODELS,
    "embedding_models": EMBEDDING_MODELS,
    "functions": FUNCTIONS,
}


def check_configuration(
    tree: Mapping[str, Any],
    around: Surroundings | None = None,
    has_file: Callable[[str], bool] | None = None,
) -> list[Reason]:
    """Check a configuration, and return each fault with its remedy. An empty list: no known fault.

    Args:
        tree: the configuration, or a part of it.
        around: the rest of the configuration, when the tree is a part.
        has_file: whether a file exists at a relative path; without it files are not checked.
    """
    around = around or surroundings_of(tree)
    reasons = [reason for name, table in tree.items() for reason in _section(name, table, around)]
    return reasons + (list(missing_files(tree, has_file)) if has_file else [])


def _section(name: str, table: Toml, around: Surroundings) -> list[Reason]:
    rule = _RULES.get(name)
    if rule is None:
        known = ", ".join(sorted(_RULES))
        return [refused((name,), f"is no section that the gateway knows; remove it (known: {known})")]
    if not isinstance(table, Mapping):
        return [refused((name,), "must be a table")]
    unmodelled = isinstance(rule, TableOf) and not rule.keys
    return [] if unmodelled else list(rule((name,), table, around))
