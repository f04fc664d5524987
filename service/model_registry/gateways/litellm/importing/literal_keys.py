"""Takes keys and other secrets out of a configuration: each becomes the name of an environment variable. Pure.

The registry stores no secrets. The same secret gets the same variable, and the same file the same names every time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.secret_values import secrets_in
from model_registry.gateways.litellm.config import (
    ENVIRONMENT,
    MODEL_LIST,
    Entry,
    LitellmConfig,
    Path,
    Table,
)
from model_registry.gateways.litellm.importing.gateway_row import named_variables
from model_registry.gateways.litellm.importing.names import type_of_prefix
from model_registry.gateways.litellm.keys import is_literal_key

_KEY = "api_key"
_KEY_NAME = re.compile(r"(.*_)?(api|master|salt)_key", re.IGNORECASE)
"""Names of keys whose value is one whatever it looks like: people write `sk-1234`."""
_KNOWN = {"master_key": "LITELLM_MASTER_KEY", "salt_key": "LITELLM_SALT_KEY", "database_url": "DATABASE_URL"}
_VARIABLES = "environment_variables"


@dataclass(frozen=True, slots=True)
class LiteralKey:
    """A secret that is left out."""

    where: str
    variable: str
    """The variable that is named instead of it."""


@dataclass(slots=True)
class _Names:
    """The variables given to secrets."""

    taken: set[str]
    by_secret: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, wish: str, text: str) -> str:
        if (wish, text) not in self.by_secret:
            name, number = wish, 2
            while name in self.taken:
                name, number = f"{wish}_{number}", number + 1
            self.taken.add(name)
            self.by_secret[wish, text] = name
        return self.by_secret[wish, text]


def without_literal_keys(config: LitellmConfig) -> tuple[LitellmConfig, tuple[LiteralKey, ...]]:
    """Return the configuration with variables in place of secrets, and what was taken out."""
    names = _Names(set(named_variables(config)))
    found: list[LiteralKey] = []
    tree: Table = {}
    for key, value in config.tree.items():
        secrets = {(key, *place.path): place.text for place in secrets_in(value, name=key)}
        tree[key] = _cleaned(config, (key,), value, secrets, names, found)
    if not found:
        return config, ()
    entries = tuple(_cleaned_entry(entry, tree) for entry in config.entries)
    return replace(config, tree=tree, entries=entries), tuple(found)


def _cleaned(  # noqa: PLR0913, PLR0917 (a walk)
    config: LitellmConfig,
    path: Path,
    value: Any,  # noqa: ANN401 (any JSON value)
    secrets: dict[Path, str],
    names: _Names,
    found: list[LiteralKey],
) -> Any:  # noqa: ANN401 (any JSON value)
    match value:
        case dict():
            return {k: _cleaned(config, (*path, k), item, secrets, names, found) for k, item in value.items()}
        case list():
            return [_cleaned(config, (*path, str(n)), item, secrets, names, found) for n, item in enumerate(value)]
        case str() if path in secrets or (_KEY_NAME.fullmatch(path[-1]) and is_literal_key(value)):
            name = path[-1] if path[0] == _VARIABLES else names.of(_wish(config, path), value)
            found.append(LiteralKey(config.place(path), name))
            return f"{ENVIRONMENT}{name}"
    return value


def _wish(config: LitellmConfig, path: Path) -> str:
    """Return the usual name of the variable for a secret in this place."""
    key = next((part for part in reversed(path) if not part.isdigit()), "secret")
    if path[0] == MODEL_LIST and key == _KEY:
        item = config.tree[MODEL_LIST][int(path[1])]
        params = item.get("litellm_params", {})
        prefix = str(params.get("custom_llm_provider") or str(params.get("model", "")).partition("/")[0])
        kind = PROVIDER_TYPES.get(type_of_prefix(prefix) or "")
        if params.get("api_base") is None and kind and kind.litellm and kind.credential:
            return kind.litellm.variable or kind.credential.variable or _upper(f"{prefix}_api_key")
        return _upper(f"{item.get('model_name', prefix)}_api_key")
    return _KNOWN.get(key) or _upper(key)


def _upper(text: str) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    return name if name and not name[0].isdigit() else f"KEY_{name}"


def _cleaned_entry(entry: Entry, tree: Table) -> Entry:
    item = tree[MODEL_LIST][int(entry.path[1])]
    rest = {key: item[key] for key in entry.rest}
    return replace(entry, params=item["litellm_params"], info=item.get("model_info") or {}, rest=rest)
