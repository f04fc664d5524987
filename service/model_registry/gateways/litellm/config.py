"""A LiteLLM configuration as read: the entries of `model_list`, the other sections, and where each stands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from model_registry.entities.json_types import Json

Table = dict[str, Any]
Path = tuple[str, ...]
"""Keys and numbers of list items, from the top of the configuration."""

MODEL_LIST = "model_list"
INCLUDE = "include"

ENVIRONMENT = "os.environ/"
"""Prefix of a value that LiteLLM reads from an environment variable."""

SETTINGS = ("litellm_settings", "router_settings", "general_settings")

SECTIONS = frozenset({
    *SETTINGS,
    "environment_variables", "credential_list", "callback_settings", "guardrails", "prompts", "policies",
    "policy_attachments", "search_tools", "sandbox_tools", "assistant_settings", "finetune_settings", "files_settings",
    "default_vertex_config", "mcp_servers", "mcp_tools", "agents", "agent_list", "vector_store_registry",
    "worker_registry", "coordination_redis",
})  # fmt: skip
"""The top-level keys that LiteLLM reads, apart from the two above. Source: `ProxyConfig.load_config`, 1.110.2."""

OLDER_SECTIONS = frozenset({"router_config", "model_group_alias", "server_settings", "cache", "pass_through_endpoints"})
"""Top-level keys that people write and LiteLLM ignores; with others, a sign that a text is meant for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `model_list`: one deployment of a model group."""

    path: Path
    model_name: str
    """The group: what callers ask for."""
    params: Table
    """`litellm_params`."""
    info: Table
    """`model_info`."""
    rest: Table
    """The entry's other keys."""

    @property
    def model(self) -> str:
        """LiteLLM's name of the model, usually with a provider's prefix."""
        return str(self.params["model"])

    def as_table(self) -> Table:
        """Return the entry as the file has it."""
        table: Table = {"model_name": self.model_name, "litellm_params": self.params}
        return table | ({"model_info": self.info} if self.info else {}) | self.rest


@dataclass(frozen=True, slots=True)
class Note:
    """Something to say about a part of the configuration."""

    action: Literal["warning", "normalised", "skipped"]
    """As in an import's report."""
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class LitellmConfig:
    """A configuration with everything that it includes."""

    tree: Table
    """All of it, as LiteLLM merges it."""
    entries: tuple[Entry, ...]
    """The entries of `model_list` that LiteLLM takes."""
    notes: tuple[Note, ...] = ()
    places: Mapping[Path, str] = field(default_factory=dict)
    """Where the top-level keys and the entries stand: `config.yaml: line 7`."""

    @property
    def sections(self) -> dict[str, Json]:
        """The top-level keys other than the model list."""
        return {name: value for name, value in self.tree.items() if name != MODEL_LIST}

    def settings(self, name: str) -> Table:
        """Return a section that is a mapping; empty where there is none."""
        return as_table(self.tree.get(name))

    def place(self, path: Path) -> str:
        """Return where a part stands, and its key: `config.yaml: line 7: model_list.0.litellm_params.api_key`."""
        at = path
        while at and at not in self.places:
            at = at[:-1]
        found = self.places.get(at, "")
        return f"{found}: {dotted(path)}" if found else dotted(path)


def dotted(path: Path) -> str:
    """Write a path for people: `model_list.0.litellm_params.api_key`."""
    return ".".join(path)


def as_table(value: object) -> Table:
    """Return a value that is a mapping, and an empty one for any other."""
    return value if isinstance(value, dict) else {}


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from texts_in(item)
        case list():
            for item in value:
                yield from texts_in(item)


def is_config(value: object, *, whole: bool = False) -> bool:
    """Whether a value is a LiteLLM configuration: by its keys, whatever else it may have.

    Args:
        value: any value of a document.
        whole: it is the document itself, which may then have any of LiteLLM's keys and no others.
    """
    if not isinstance(value, dict) or "apiVersion" in value:
        return False
    if whole and value and value.keys() <= SECTIONS | {MODEL_LIST, INCLUDE}:
        return True
    if isinstance(value.get(MODEL_LIST), list):
        return True
    return any(isinstance(value.get(name), dict) for name in SETTINGS) or isinstance(value.get(INCLUDE), list)


def order_of(value: object) -> int | None:
    """Read an `order` as LiteLLM's `get_deployment_order` does: whatever is no whole number is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?[0-9]+", value) else None
    return int(value) if isinstance(value, bool | int) else None


def variable_of(value: object) -> str | None:
    """Return the environment variable that a value names, or None."""
    return value.removeprefix(ENVIRONMENT) if isinstance(value, str) and value.startswith(ENVIRONMENT) else None
