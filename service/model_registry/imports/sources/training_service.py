"""Reads the models of a training service: an answer of `/models/list`, or the same from a file or a module.

The whole entry becomes one fact, `training_entry`; what the catalogue has a field for becomes that too. Fetching is
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from model_registry.catalog.request_models import ModelBody
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.entities.training_entry import Entry, read_entries
from model_registry.errors import SourceUnreadable
from model_registry.imports.sources.items import make_offer

SOURCE = "training"

_TYPE = "other"
"""Gateways route no such model; `task_types` says what it is for."""
_SAME = ("display_name", "description", "task_types", "tags", "status")
"""Fields that the catalogue has under the same name."""
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMBT])\s*", re.IGNORECASE)


def read_training_models(
    document: object, *, framework: str | None, provider: str, api_base: str | None
) -> SourceContent:
    """Make the offers of a training service at `api_base`; null for a file or a module.

    Args:
        document: what was read, in any form that `read_entries` takes.
        framework: only models of this one, and rows that name none; others are passed over. Null: models of all, and
            those of another framework than the document's own are called `framework/name`, so that two frameworks with
            a model of the same name are two models.
        provider: name of the provider that gets the models, new or not.
        api_base: its address.

    Raises:
        SourceUnreadable: when the document holds no list of models. The rows of one that are wrong are `unread`.
    """
    if api_base is not None and isinstance(document, Mapping) and "models" not in document:
        raise SourceUnreadable(f"{api_base}/models/list answers without a list of models.")
    read = read_entries(document, framework)
    usual = framework or read.framework
    at = {"provider": provider, "provider_type": "custom", "api_base": api_base}
    wanted = [entry for entry in read.entries if framework in (None, entry["framework"])]
    others = tuple(
        PassedOver(f"{entry['framework']}/{entry['model_name']}", f"is of another framework than {framework}")
        for entry in read.entries
        if framework not in (None, entry["framework"])
    )
    offers = [make_offer(_model_id(entry, usual), partial(_offer, entry, usual, at)) for entry in wanted]
    return SourceContent.joined([SourceContent((), others), *offers]).with_unread(read.unread)


def _model_id(entry: Entry, usual: str | None) -> str:
    name: str = entry["model_name"]
    return name if usual in (None, entry["framework"]) else f"{entry['framework']}/{name}"


def _offer(entry: Entry, usual: str | None, at: Mapping[str, str | None]) -> Offer:
    fields, left_out = facts_of(entry)
    return Offer.model_validate({**at, "model_id": _model_id(entry, usual), "fields": fields, "left_out": left_out})


def facts_of(entry: Entry) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts of an entry, null where it has none, and why others are left out."""
    facts: dict[str, Any] = {
        **{name: entry.get(name) for name in _SAME},
        "model_type": _TYPE,
        "capabilities": ["inference"] if entry.get("inference_only") is True else ["training", "inference"],
        "framework": entry["framework"],
        "parameters": _parameters(entry.get("params")),
        "training_defaults": _defaults(entry),
        "benchmarks": _benchmarks(entry.get("benchmark")),
        "urls": _urls(entry),
    }
    left_out = _faults(facts)
    good = {name: value for name, value in facts.items() if name not in left_out}
    return {**good, "training_entry": entry}, left_out


def _faults(facts: Mapping[str, Any]) -> dict[str, str]:
    """Tell which fields of the catalogue cannot hold their value, and why; it stays in the entry."""
    known = {name: value for name, value in facts.items() if value is not None}
    try:
        ModelBody.model_validate({"model_id": "m", "name": "m", "provider_id": "p", **known})
    except ValidationError as error:
        return {reason.where.partition(".")[0]: str(reason)[:200] for reason in reversed(reasons_of(error))}
    return {}


def _parameters(text: object) -> object:
    """Write a number of parameters as the catalogue does: `2.6M` for `2.6 m`. It refuses any other text."""
    size = _SIZE.fullmatch(text) if isinstance(text, str) else None
    return f"{size[1]}{size[2].upper()}" if size else text


def _defaults(entry: Entry) -> dict[str, Any] | None:
    named = {"batch_size": entry.get("recommended_batch_size"), "learning_rate": entry.get("recommended_lr")}
    known = {name: value for name, value in named.items() if value is not None}
    return {"hyperparameters": known} if known else None


def _benchmarks(measured: object) -> dict[str, Any] | None:
    """Return the results that are numbers. Texts, such as units and hardware, stay in the entry."""
    if not isinstance(measured, Mapping):
        return None
    scores = {name: {"score": value} for name, value in measured.items() if type(value) in (int, float)}
    return scores or None


def _urls(entry: Entry) -> dict[str, str] | None:
    name = entry.get("model_id") or entry["model_name"]
    at_hub = entry["framework"] == "huggingface" and isinstance(name, str) and name.count("/") == 1
    return {"huggingface": f"https://huggingface.co/{name}"} if at_hub else None
