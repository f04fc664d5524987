"""Parses the texts of a LiteLLM configuration into a `LitellmConfig`. Pure.

What LiteLLM's own reader refuses or fails on is refused, with the line and what to do. What it reads and then ignores
is noted, so that nobody goes on believing in it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from model_registry.entities.base import json_problem
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.litellm.config import (
    MODEL_LIST,
    SECTIONS,
    SETTINGS,
    Entry,
    LitellmConfig,
    Note,
    Path,
    Table,
    dotted,
)
from model_registry.gateways.litellm.reading.containers import FoundConfig, find_configs, the_config
from model_registry.gateways.litellm.reading.includes import Merged, merged

_LISTS = frozenset({
    "credential_list", "guardrails", "prompts", "search_tools", "sandbox_tools", "files_settings", "finetune_settings",
    "mcp_tools", "agents", "agent_list", "vector_store_registry", "policy_attachments", "worker_registry",
})  # fmt: skip
"""Sections that LiteLLM iterates over; all others are mappings."""


def parse_config(files: Mapping[str, str], configuration: str | None = None) -> LitellmConfig:
    """Parse a configuration with everything that it includes.

    Args:
        files: path -> text.
        configuration: the file that is the configuration; by default the only one that no other includes.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its line and what to do.
    """
    root, beside = _root(files, configuration)
    others = {posixpath.normpath(path): text for path, text in files.items()}
    whole = merged(root, others, beside)
    reasons = list(whole.reasons)
    notes = [note for found in whole.read for note in _notes_of_text(found)]
    _check_sections(whole, reasons, notes)
    entries = _entries(whole, reasons, notes)
    if reasons:
        what = str(reasons[0]) if len(reasons) == 1 else f"{len(reasons)} problems, the first: {reasons[0]}"
        raise InvalidConfiguration(f"The configuration cannot be imported: {what}", reasons=reasons)
    places = {path: found.place(at) for path, (found, at) in whole.origins.items()}
    return LitellmConfig(whole.tree, entries, tuple(notes), places)


def _root(files: Mapping[str, str], configuration: str | None) -> tuple[FoundConfig, list[FoundConfig]]:
    """Return the configuration that the others are included by, and the other ones of its file."""
    if configuration is not None and configuration not in files:
        reason = Reason(configuration, "is named as the configuration, and is not among the files")
        raise InvalidConfiguration(f"The configuration cannot be read: {reason}", reasons=[reason])
    named = [configuration] if configuration is not None else list(files)
    found = {name: find_configs(posixpath.normpath(name), files[name]) for name in named}
    holding = {name: configs for name, configs in found.items() if configs}
    included = {posixpath.basename(str(inner)) for configs in holding.values() for c in configs for inner in c.includes}
    roots = [name for name in holding if posixpath.basename(name) not in included] or list(holding)
    if len(roots) > 1:
        reason = Reason(roots[1], f"is a configuration as well as {roots[0]}; import one, or let one include the other")
        raise InvalidConfiguration(f"The configuration cannot be read: {reason}", reasons=[reason])
    name = roots[0] if roots else next(iter(files), "")
    root = the_config(name, found.get(name, []))
    return root, [one for one in found[name] if one is not root]


def _notes_of_text(found: FoundConfig) -> list[Note]:
    """Note what YAML itself made of a text."""
    size = len(found.path)
    document = found.document
    inside = [(path[size:], path) for path, _, _ in document.twice if path[:size] == found.path]
    lines = {path: (first, last) for path, first, last in document.twice}
    notes = [
        Note(
            "warning",
            found.place(path),
            f"{dotted(path)} is there twice, also in line {found.first_line + lines[whole][0]}; LiteLLM takes the last",
        )
        for path, whole in inside
    ]
    for path, words in document.reworded:
        if path[:size] == found.path:
            notes.append(Note("normalised", found.place(path[size:]), f"{dotted(path[size:])}: {words}"))
    return notes


def _check_sections(whole: Merged, reasons: list[Reason], notes: list[Note]) -> None:
    for name, value in whole.tree.items():
        found, path = whole.origins[(name,)]
        where = found.place(path)
        if problem := json_problem(value):
            reasons.append(Reason(where, f"{name} {problem}"))
        elif name in SECTIONS and value is not None and not isinstance(value, list if name in _LISTS else dict):
            if name not in {"guardrails", "policies", "mcp_servers", *SETTINGS} and not value:
                continue  # an empty value of any type means none
            reasons.append(
                Reason(where, f"{name} must be a {'list' if name in _LISTS else 'mapping of keys to values'}")
            )
        elif name not in SECTIONS and name != MODEL_LIST:
            message = f"LiteLLM ignores the top-level key {name}{_meant(name, value)}; it is kept as it is"
            notes.append(Note("warning", where, message))


def _meant(name: str, value: object) -> str:
    if name in {"fallbacks", "model_group_alias", "router_config"}:
        return ", which belongs into router_settings"
    if name in {"master_key", "database_url", "pass_through_endpoints"}:
        return ", which belongs into general_settings"
    if isinstance(value, list) and value and isinstance(value[0], dict) and "litellm_params" in value[0]:
        return ", whose entries look like those of model_list"
    return ""


def _entries(whole: Merged, reasons: list[Reason], notes: list[Note]) -> tuple[Entry, ...]:
    listed = whole.tree.get(MODEL_LIST)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        found, path = whole.origins[(MODEL_LIST,)]
        reasons.append(Reason(found.place(path), "model_list must be a list of entries, each beginning with `- `"))
        return ()
    entries = []
    for number, item in enumerate(listed):
        path = (MODEL_LIST, str(number))
        found, at = whole.origins[path]
        problem = _entry_problem(item)
        if problem is None:
            entries.append(_entry(path, item))
        elif problem[0] == "skipped":
            notes.append(
                Note("skipped", found.place(at), f"{dotted(path)}: LiteLLM leaves this entry out: {problem[1]}")
            )
        else:
            reasons.append(Reason(found.place(at), f"{dotted(path)} {problem[1]}"))
    return tuple(entries)


def _entry_problem(item: object) -> tuple[str, str] | None:  # noqa: PLR0911 (a line a problem)
    """Return what LiteLLM does with an entry that it does not take, `refused` or `skipped`, and why; or None."""
    if not isinstance(item, dict):
        return "refused", "must be a mapping with model_name and litellm_params"
    params = item.get("litellm_params")
    if not isinstance(params, dict):
        return "refused", "must have litellm_params, a mapping with at least `model`; LiteLLM does not start without it"
    if "model" not in params:
        return "refused", "must have litellm_params.model, such as openai/gpt-4o; LiteLLM does not start without it"
    if not isinstance(params["model"], str) or not params["model"]:
        return "refused", "must have a text as litellm_params.model, such as openai/gpt-4o"
    if not isinstance(item.get("model_name"), str):
        return "skipped", "its model_name is missing or no text; put quotes around it"
    if not isinstance(item.get("model_info") or {}, dict):
        return "skipped", "its model_info is no mapping"
    return None


def _entry(path: Path, item: Table) -> Entry:
    info = item.get("model_info") or {}
    rest = {key: value for key, value in item.items() if key not in {"model_name", "litellm_params", "model_info"}}
    return Entry(path, item["model_name"], item["litellm_params"], info, rest)
