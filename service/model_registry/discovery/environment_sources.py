"""Sources that the environment makes: one for each variable with the address of a training service. Pure but for logs.

Every replica that asks sources does this at its start; the one that starts last decides where environments differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from model_registry.entities.change import Operation
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.source import SourceDraft
from model_registry.settings import Settings
from model_registry.snapshot.snapshot import Snapshot

log = structlog.get_logger(__name__)


def environment_drafts(settings: Settings) -> dict[str, SourceDraft]:
    """Variable -> its source. A variable whose value is no address is logged, and makes none."""
    given = {
        "TIMM_SERVICE_URL": ("timm", settings.timm_url),
        "ULTRALYTICS_SERVICE_URL": ("ultralytics", settings.ultralytics_url),
        "HUGGINGFACE_SERVICE_URL": ("huggingface", settings.huggingface_url),
        "TRAINING_SERVICE_URL": (None, settings.training_url),
    }
    drafts = {}
    for variable, (framework, url) in given.items():
        if url is None:
            continue
        name = f"{framework or 'training'}_service"
        try:
            drafts[variable] = SourceDraft(name=name, kind="training_service", address=url, framework=framework)
        except ValidationError as error:
            reasons = "; ".join(map(str, reasons_of(error)))
            log.warning("a variable makes no source: its value is not usable", variable=variable, reason=reasons)
    return drafts


def plan_environment(
    snapshot: Snapshot, drafts: dict[str, SourceDraft], new_id: Callable[[], str]
) -> Sequence[Operation]:
    """Plan the rows of the environment's sources: added, changed, and deleted where the variable is gone."""
    there = {source.environment_variable: source for source in snapshot.sources if source.environment_variable}
    operations = [
        Operation("model_sources", "delete", source.id, version=source.version)
        for variable, source in there.items()
        if variable not in drafts
    ]
    for variable, draft in drafts.items():
        columns = draft.model_dump() | {"environment_variable": variable}
        old = there.get(variable)
        if old is not None:
            changed = {name: value for name, value in columns.items() if getattr(old, name) != value}
            if changed:
                operations.append(Operation("model_sources", "update", old.id, changed, old.version))
        elif snapshot.sources.where("name", draft.name):
            log.warning("a variable makes no source: people made one with its name", variable=variable, name=draft.name)
        else:
            operations.append(Operation("model_sources", "insert", new_id(), columns))
    return operations
