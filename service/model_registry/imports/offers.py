"""Plan the import of offered models: the rows they make, the facts they change, the fields they leave alone.

Pure: `sources/` reads the offers, the store writes the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from model_registry.catalog.field_sources import (
    EMPTY,
    IMPORTED_FIELDS,
    NEVER_UNKNOWN,
    SOURCED_COLUMNS,
    fact,
    merge_facts,
    source_label,
    written_with_sources,
)
from model_registry.catalog.request_models import ModelBody
from model_registry.catalog.secret_check import refuse_secrets
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.model import Model
from model_registry.entities.model_card import CARD_FIELDS
from model_registry.entities.model_name import name_at_hub, name_key, same_names
from model_registry.entities.offer import Offer
from model_registry.entities.provider import Provider
from model_registry.entities.secret_text import mask_secrets
from model_registry.entities.unknown_fields import unknown_field_reasons, unknown_fields
from model_registry.errors import AlreadyExists, Invalid, InvalidModel, NotFound, ProviderElsewhere, RegistryError
from model_registry.imports.plan import ImportPlan, Planner, ReportEntry, WantedRow
from model_registry.imports.providers import OfferedProviders
from model_registry.snapshot.snapshot import Snapshot

Fault = Callable[[Model, Provider], str | None]
"""Tells why the gateway's rules refuse a row; the catalogue does not know them."""

_HUB = "huggingface"
"""The source whose models some servers have with hf.co/ in front, and others without."""
_OLLAMA = "ollama"
"""The type of the servers that take several spellings for one model."""

DEFAULTS = {name: Model.model_fields[name].get_default(call_default_factory=True) for name in SOURCED_COLUMNS}
"""Column -> its value in a new row when the offer leaves it out."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One offer at one provider."""

    offer: Offer
    provider: Provider
    row: Model | None
    facts: dict[str, Any]
    """The offered fields, validated; without `replaced_by`."""
    left_out: dict[str, str]


def plan_offers(  # noqa: PLR0913 (the options of an import)
    snapshot: Snapshot,
    offers: Iterable[Offer],
    source: str,
    new_id: Callable[[], str],
    *,
    fault: Fault = lambda _model, _provider: None,
    only_existing: bool = False,
    activate: bool = False,
    spelled_by_hub: bool | None = None,
) -> ImportPlan:
    """Plan what has to be written so that the registry has the facts of these offers. A second time it is nothing.

    `only_existing` creates no rows; `activate` makes new rows active, which they are not otherwise;
    `spelled_by_hub`: the names are Hugging Face's, as they are of the source of that name.
    """
    at_hub = source == _HUB if spelled_by_hub is None else spelled_by_hub
    return _Importer(snapshot, source, new_id, fault, only_existing, activate, at_hub).plan(offers)


@dataclass
class _Importer:
    """One import, with the options of `plan_offers`."""

    snapshot: Snapshot
    source: str
    new_id: Callable[[], str]
    fault: Fault
    only_existing: bool
    activate: bool
    at_hub: bool

    def __post_init__(self) -> None:
        snapshot = self.snapshot
        self._providers = OfferedProviders(snapshot, self.new_id, only_existing=self.only_existing)
        self._offered: set[str] = set()
        self._elsewhere: list[ProviderElsewhere] = []
        self._names: dict[tuple[str, str], str] = {}
        """The names of new rows at their providers, and the models that have them."""
        self._seen: set[tuple[str, str]] = set()
        self._taken: set[str] = set()
        # A secret in one offer does not stop the others.
        self._planner = Planner(snapshot, self.new_id, guard=lambda operation: refuse_secrets(snapshot, [operation]))

    def plan(self, offers: Iterable[Offer]) -> ImportPlan:
        # Offers that name a provider come first: an offer without one finds the new row on the next import.
        ordered = sorted(offers, key=lambda offer: offer.provider is None)
        self._offered = {offer.model_id for offer in ordered}
        # Two passes: the model that replaces another one may be offered further down.
        cases = [case for offer in ordered for case in self._cases(offer)]
        if self._elsewhere and len(self._elsewhere) == len(ordered):
            raise self._elsewhere[0]  # nothing of it is meant for the provider that it names
        called = {case.offer.called: case for case in cases if isinstance(case, _Case)}
        for case in cases:
            if isinstance(case, ReportEntry):
                self._planner.report.append(case)
            else:
                self._plan_row(case, called)
        models = self._planner.plan()
        providers = self._plan_providers({entry.provider for entry in models.report if entry.action == "created"})
        return ImportPlan(providers.operations + models.operations, providers.report + models.report, models.kept)

    def _plan_providers(self, names: set[str]) -> ImportPlan:
        """Plan the rows of new providers that got models. They come before those."""
        planner = Planner(self.snapshot, self.new_id)
        for row in self._providers.new.values():
            if row.name in names:
                columns = row.model_dump(exclude={"id", "version", "created_at", "updated_at"})
                summary = f"type {row.type}, not active"
                wanted = WantedRow("model_providers", "provider", row.name, columns, summary=summary, provider=row.name)
                planner.upsert(wanted, None, row.id)
        return planner.plan()

    def _cases(self, offer: Offer) -> list[_Case | ReportEntry]:
        """Find the rows of an offer, or the reason why it has none."""
        try:
            cases: list[_Case | ReportEntry] = []
            for provider in self._providers.of(offer):
                rows = self._rows_of(provider, offer.model_id)
                if rows or offer.provider is not None:
                    cases += self._at(offer, provider, rows)
            if not cases:
                raise NotFound("no provider of the registry has it: name the provider that it is to be added to")
        except RegistryError as error:
            if isinstance(error, ProviderElsewhere):
                self._elsewhere.append(error)
            return [_skipped(offer, offer.provider or offer.provider_type or "", error)]
        return cases

    def _rows_of(self, provider: Provider, model_id: str) -> list[Model]:
        """Find a provider's rows of a model, whose name may be spelled as its server means it too."""
        rows = self._at_provider(provider, model_id)
        if not rows and self.at_hub:
            bare = name_at_hub(model_id)
            model_id = bare if bare != model_id else f"hf.co/{bare}"
            rows = self._at_provider(provider, model_id)
        ollama = provider.type == _OLLAMA
        spellings = same_names(model_id, {row.model_id for row in rows}, ollama=ollama)
        # Another spelling that is offered itself is another model of a server that tells them apart.
        meant = {name for name in spellings if ollama or name == model_id or name not in self._offered}
        return [row for row in rows if row.model_id in meant]

    def _at_provider(self, provider: Provider, model_id: str) -> list[Model]:
        """Find a provider's rows of models with this name, but for its spelling."""
        key = name_key(model_id)
        named = self.snapshot.models.where("key", key)
        return [row for row in named if row.provider_id == provider.id and name_key(row.model_id) == key]

    def _at(self, offer: Offer, provider: Provider, rows: list[Model]) -> Iterable[_Case | ReportEntry]:
        try:
            known = name_key(offer.model_id) if provider.type == _OLLAMA else offer.model_id
            if (provider.id, known) in self._seen or not self._taken.isdisjoint(row.id for row in rows):
                raise AlreadyExists("this import offered it already")
            self._seen.add((provider.id, known))
            self._taken.update(row.id for row in rows)
            facts, left_out = self._checked(offer, provider)
            if not rows:
                self._claim(offer, provider, facts)
            each: Sequence[Model | None] = rows or [None]
            return [_Case(offer, provider, row, facts, left_out) for row in each]
        except RegistryError as error:
            return [_skipped(offer, provider.name, error)]

    def _checked(self, offer: Offer, provider: Provider) -> tuple[dict[str, Any], dict[str, str]]:
        """Validate the offered fields as the API would; and list those that refer to nothing."""
        facts = dict(offer.fields)
        if "context_window" in facts:
            facts["context_length"] = facts.pop("context_window")
        if unknown := sorted(facts.keys() - IMPORTED_FIELDS):
            raise InvalidModel(f"{', '.join(unknown)}: not a field that importers fill")
        if reasons := unknown_field_reasons(unknown_fields(facts, ModelBody)):
            raise InvalidModel("; ".join(map(str, reasons)), reasons=reasons)
        left_out = {name: why for name, why in offer.left_out.items() if name in IMPORTED_FIELDS and name not in facts}
        # What the source gave earlier, and has no value for now, does not stay.
        facts |= dict.fromkeys(left_out)
        category = facts.get("category")
        if isinstance(category, str) and not self.snapshot.categories.where("key", category):
            left_out["category"] = f"there is no category {category!r}"
            del facts["category"]
        known = {name: value for name, value in facts.items() if value is not None}
        body = _body({"model_id": offer.model_id, "name": offer.called, "provider_id": provider.id, **known})
        dumped = body.model_dump(mode="json", include=set(known), exclude_none=True)
        facts = {name: None if (value := dumped.get(name)) in EMPTY else value for name in facts}
        return {
            n: v for n, v in facts.items() if n != "replaced_by" and not (v is None and n in NEVER_UNKNOWN)
        }, left_out

    def _claim(self, offer: Offer, provider: Provider, facts: dict[str, Any]) -> None:
        """Ensure that the offer can get a new row. Errors: NotFound, AlreadyExists, InvalidModel."""
        if self.only_existing:
            raise NotFound("it is not in the registry")
        named = self.snapshot.models.where("name", offer.called)
        there = next((row.model_id for row in named if row.provider_id == provider.id), None)
        if other := there or self._names.get((provider.id, offer.called)):
            raise AlreadyExists(f"the name {offer.called!r} is taken there by {other!r}")
        new = {"id": "new", "provider_id": provider.id, "name": offer.called, "model_id": offer.model_id}
        self._refuse_fault(Model.model_validate(new | {"model_type": facts.get("model_type", "chat")}), provider)
        self._names[provider.id, offer.called] = offer.model_id

    def _plan_row(self, case: _Case, called: dict[str, _Case]) -> None:
        if "replaced_by" in case.offer.fields:
            facts, left_out = dict(case.facts), dict(case.left_out)
            successor = case.offer.fields["replaced_by"]
            other = called.get(successor)
            name = other.row.name if other and other.row else successor
            if name is None or other or self.snapshot.models.where("name", name):
                facts["replaced_by"] = name
            else:
                left_out["replaced_by"] = f"there is no model named {name!r}"
            case = replace(case, facts=facts, left_out=left_out)
        try:
            self._plan_insert(case) if case.row is None else self._plan_update(case, case.row)
        except Invalid as error:
            self._planner.report.append(_skipped(case.offer, case.provider.name, error))

    def _plan_insert(self, case: _Case) -> None:
        offer, provider = case.offer, case.provider
        facts = {name: value for name, value in case.facts.items() if value is not None}
        row = {
            "provider_id": provider.id,
            "name": offer.called,
            "model_id": offer.model_id,
            "active": self.activate,
            # All rows have the same columns, so that the database takes them together.
            **{name: facts.get(name, DEFAULTS[name]) for name in SOURCED_COLUMNS},
            "card": {name: facts[name] for name in CARD_FIELDS if name in facts},
            "field_sources": self._marks(offer, facts),
        }
        name, fields = offer.model_id, tuple(facts)
        wanted = WantedRow("models", "model", name, row, provider=provider.name, fields=fields, kept=case.left_out)
        self._planner.upsert(wanted, None)

    def _plan_update(self, case: _Case, row: Model) -> None:
        writes, kept = merge_facts(row, case.facts, self.source)
        if writes:
            self._refuse_invalid(case, row, writes)
        wanted = WantedRow(
            "models",
            "model",
            row.model_id,
            writes,
            current=fact,
            edit=lambda _row, changed: written_with_sources(changed, self._marks(case.offer, changed)),
            describe=lambda _row, _changed: "",
            provider=case.provider.name,
            kept=kept | case.left_out,
        )
        self._planner.upsert(wanted, row)

    def _refuse_invalid(self, case: _Case, row: Model, writes: dict[str, Any]) -> None:
        written = {name: value for name, value in writes.items() if value is not None}
        # Together with the card: an importer's median latency and a person's 99th percentile have to agree.
        there = {name: value for name, value in row.card.items() if name not in writes}
        _body({"model_id": row.model_id, "name": row.name, "provider_id": row.provider_id, **there, **written})
        if "model_type" in written:
            self._refuse_fault(row.model_copy(update={"model_type": written["model_type"]}), case.provider)

    def _marks(self, offer: Offer, names: Iterable[str]) -> dict[str, str]:
        return {name: source_label(self.source, estimated=name in offer.estimated) for name in names}

    def _refuse_fault(self, model: Model, provider: Provider) -> None:
        if fault := self.fault(model, provider):
            raise InvalidModel(fault)


def _body(fields: dict[str, Any]) -> ModelBody:
    """Validate fields as the API does. Errors: InvalidModel, with every bad field."""
    try:
        return ModelBody.model_validate(fields)
    except ValidationError as error:
        reasons = reasons_of(error)
        raise InvalidModel(f"not valid: {'; '.join(map(str, reasons))}", reasons=reasons) from error


def _skipped(offer: Offer, provider: str, error: RegistryError) -> ReportEntry:
    name = mask_secrets(offer.model_id, eager=False)
    return ReportEntry("skipped", "model", name, error.message, provider)
