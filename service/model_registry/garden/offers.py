"""Reads a document of Model Garden's format as offers: for sources, whose fields people and other importers may own.

`document.py` imports one as a whole, over what is there. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from model_registry.catalog.field_sources import SOURCED_COLUMNS
from model_registry.entities.document import DocumentModel
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import Offer, SourceContent
from model_registry.errors import SourceUnreadable
from model_registry.garden.document_models import columns_of
from model_registry.imports.sources.items import Unusable, make_offer


def is_garden_document(document: object) -> bool:
    """Whether this looks like such a document: its models stand under their ids, each with a provider."""
    models = document.get("models") if isinstance(document, Mapping) else None
    if not isinstance(models, Mapping):
        return False
    return all(isinstance(entry, Mapping) and "provider" in entry and "id" in entry for entry in models.values())


def read_garden(document: object) -> SourceContent:
    """Make the offers of a document, which may stand in the `data` of an answer. An invalid entry ends no other.

    Errors: SourceUnreadable, when it lists no models.
    """
    if isinstance(document, Mapping) and isinstance(document.get("data"), Mapping):
        document = document["data"]
    models = document.get("models") if isinstance(document, Mapping) else None
    if not isinstance(models, Mapping):
        raise SourceUnreadable("the document has no `models` by their ids, as models_registry.json has")
    described = document.get("providers") if isinstance(document, Mapping) else None
    providers = described if isinstance(described, Mapping) else {}
    return SourceContent.joined(make_offer(str(key), partial(_offer, raw, providers)) for key, raw in models.items())


def _offer(raw: Mapping[str, Any], providers: Mapping[str, Any]) -> Offer:
    try:
        entry = DocumentModel.model_validate_json(to_json(raw), strict=True)
    except ValidationError as error:
        raise Unusable("; ".join(map(str, reasons_of(error)))[:500]) from error
    columns = columns_of(entry, raw, None)
    facts = {name: columns[name] for name in SOURCED_COLUMNS if name in columns} | columns["card"]
    provider = providers.get(entry.provider)
    place = provider if isinstance(provider, Mapping) else {}
    return Offer(
        provider=entry.provider,
        provider_type=place.get("type", "custom"),
        api_base=place.get("api_base"),
        model_id=columns["model_id"],
        name=columns["name"],
        fields=facts,
    )
