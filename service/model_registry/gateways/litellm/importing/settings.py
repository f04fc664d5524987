"""Plans what is no model: sections, and the aliases of model groups that rows can say. Pure."""

from __future__ import annotations

from typing import Any

from model_registry.entities.gateway import Gateway
from model_registry.entities.model import AliasDraft
from model_registry.gateways.litellm.config import MODEL_LIST, Entry, LitellmConfig, Table, as_table
from model_registry.gateways.litellm.rendering.settings import ALIASES, ROUTER_SETTINGS, VALUE, value_of
from model_registry.imports.plan import Planner, WantedRow
from model_registry.snapshot.snapshot import Snapshot

_CONTEXT = "litellm"
"""The context of imported aliases: other kinds of gateways do not get them."""


def import_aliases(config: LitellmConfig, first_rows: dict[str, str], planner: Planner) -> Table:
    """Plan the aliases that rows can say. Return `router_settings` without them.

    Args:
        config: the configuration.
        first_rows: model group -> id of its first row.
        planner: takes the rows.
    """
    settings = config.settings(ROUTER_SETTINGS)
    kept: Table = {}
    for alias, item in as_table(settings.get(ALIASES)).items():
        target = _target(item)
        row_id = first_rows.get(target) if target else None
        if row_id is None or alias in first_rows or not _is_free(planner.snapshot, alias, row_id):
            kept[alias] = item
            continue
        old = _existing(planner.snapshot, alias, str(target))
        values: Table = {} if old else {"model_id": row_id, "alias": alias, "context": _CONTEXT}
        path = (ROUTER_SETTINGS, ALIASES, alias)
        planner.upsert(
            WantedRow("model_aliases", "alias", alias, values, path, AliasDraft, summary=f"of {target}"), old
        )
    rest = {key: value for key, value in settings.items() if key != ALIASES}
    return rest | ({ALIASES: kept} if kept else {})


def _target(item: Any) -> str | None:  # noqa: ANN401 (any JSON value)
    if isinstance(item, dict) and item.keys() <= {"model", "hidden"} and not item.get("hidden"):
        item = item.get("model")
    return item if isinstance(item, str) else None


def _is_free(snapshot: Snapshot, alias: str, row_id: str) -> bool:
    """Whether the name is no model's, and in this context no alias of another model."""
    if not 1 <= len(alias) <= 300 or not alias.isprintable() or "::" in alias:  # noqa: PLR2004 (a name's length)
        return False
    model = snapshot.models.get(row_id)
    others = [row for row in snapshot.aliases.where("alias", alias) if row.context == _CONTEXT]
    targets = {found.name for row in others if (found := snapshot.models.get(row.model_id))}
    return not snapshot.models.where("name", alias) and (not others or (model is not None and targets == {model.name}))


def _existing(snapshot: Snapshot, alias: str, target: str) -> Any:  # noqa: ANN401 (a row or None)
    for row in snapshot.aliases.where("alias", alias):
        model = snapshot.models.get(row.model_id)
        if row.context == _CONTEXT and model is not None and model.name == target:
            return row
    return None


def import_sections(
    config: LitellmConfig, router_settings: Table, kept: list[Entry], gateway: Gateway, planner: Planner
) -> None:
    """Plan the sections: those of the configuration become as it has them, others of the gateway stay.

    Args:
        config: the configuration.
        router_settings: what rows do not say of this section.
        kept: the entries that are no models.
        gateway: whose sections they are.
        planner: takes the rows.
    """
    old = {row.name: row for row in planner.snapshot.sections if row.gateway == gateway.content_of}
    wanted: Table = {**config.sections, ROUTER_SETTINGS: router_settings}
    if listed := _kept_entries(old.get(MODEL_LIST), kept, config):
        wanted[MODEL_LIST] = listed
    for name, value in sorted(wanted.items()):
        row = old.get(name)
        stored = value if isinstance(value, dict) else {VALUE: value}
        if value in (None, {}, []) and name in config.sections and row is not None:
            planner.delete("config_sections", row, "section", name, "the configuration has nothing in it")
        elif value not in (None, {}, []):
            values = {"value": stored} if row else {"name": name, "value": stored, "gateway": gateway.content_of}
            planner.upsert(WantedRow("config_sections", "section", name, values, (name,)), row)


def _kept_entries(row: Any, kept: list[Entry], config: LitellmConfig) -> list[Table]:  # noqa: ANN401 (a row or None)
    """Return the entries that are no models: the configuration's, and behind them those of groups that it lacks."""
    named = {entry.model_name for entry in config.entries}
    before: Any = value_of(row) if row is not None else []
    others = [item for item in before if isinstance(item, dict) and item.get("model_name") not in named]
    return [entry.as_table() for entry in kept] + others
