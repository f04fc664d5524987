"""Knowledge from elsewhere, worked into the catalogue: the rows it makes, the facts it changes, what it leaves alone.

Pure: where the offers come from is for the readers in `knowledge/`, writing the operations is for the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import ValidationError

from model_registry.catalog.model_edits import SOURCED_COLUMNS
from model_registry.catalog.request_models import ModelBody
from model_registry.catalog.resources import reasons_of
from model_registry.catalog.secret_check import refuse_secrets
from model_registry.entities.change import Operation
from model_registry.entities.model import Model
from model_registry.entities.model_card import CARD_FIELDS
from model_registry.entities.offer import Offer
from model_registry.entities.provider import Provider
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import AlreadyExists, Invalid, InvalidModel, NotFound, RegistryError
from model_registry.imports.facts import EMPTY, IMPORTED_FIELDS, NEVER_UNKNOWN, merge_facts, source_label, update
from model_registry.imports.providers import OfferedProviders
from model_registry.snapshot.snapshot import Snapshot

Fault = Callable[[Model, Provider], str | None]
"""Why a row cannot be: what the gateway's rules say of it, which the catalogue does not know."""

DEFAULTS = {name: Model.model_fields[name].get_default(call_default_factory=True) for name in SOURCED_COLUMNS}
"""What a column of a new row is, of which nothing is told."""


@dataclass(frozen=True, slots=True)
class OfferEntry:
    """The action taken for one offer."""

    action: Literal["created", "changed", "unchanged", "skipped"]
    kind: Literal["provider", "model"]
    provider: str
    name: str
    """A model's: what the provider calls it."""
    fields: tuple[str, ...] = ()
    """Those that were written."""
    kept: dict[str, str] = field(default_factory=dict)
    """Fields that the source would have otherwise, and why they stay."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The operations of one write, and what they do."""

    operations: tuple[Operation, ...]
    report: tuple[OfferEntry, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One offer at one provider."""

    offer: Offer
    provider: Provider
    row: Model | None
    told: dict[str, Any]
    """What is said of the fields, checked; without `replaced_by`."""
    left_out: dict[str, str]


def plan_import(  # noqa: PLR0913 (what an import can be told)
    snapshot: Snapshot,
    offers: Iterable[Offer],
    source: str,
    new_id: Callable[[], str],
    *,
    fault: Fault = lambda _model, _provider: None,
    only_existing: bool = False,
    activate: bool = False,
) -> ImportPlan:
    """What has to be written so that the registry knows what these offers tell. A second time it is nothing.

    `only_existing` makes no rows; `activate` makes them active, which new rows are not otherwise.
    """
    return _Importer(snapshot, source, new_id, fault, only_existing=only_existing, activate=activate).plan(offers)


class _Importer:
    def __init__(  # noqa: PLR0913 (as `plan_import`)
        self,
        snapshot: Snapshot,
        source: str,
        new_id: Callable[[], str],
        fault: Fault,
        *,
        only_existing: bool,
        activate: bool,
    ) -> None:
        self._snapshot = snapshot
        self._source = source
        self._new_id = new_id
        self._fault = fault
        self._only_existing = only_existing
        self._activate = activate
        self._providers = OfferedProviders(snapshot, new_id, only_existing=only_existing)
        self._rows: dict[tuple[str, str], list[Model]] = {}
        for model in snapshot.models:
            self._rows.setdefault((model.provider_id, model.model_id), []).append(model)
        self._names = {(model.provider_id, model.name): model.model_id for model in snapshot.models}
        self._seen: set[tuple[str, str]] = set()
        self._operations: list[Operation] = []

    def plan(self, offers: Iterable[Offer]) -> ImportPlan:
        # Who names a provider comes first: the next time, its new row is there for those who do not.
        ordered = sorted(offers, key=lambda offer: offer.provider is None)
        # Twice over the offers: what replaces a model may be an offer further down.
        cases = [case for offer in ordered for case in self._cases(offer)]
        called = {case.offer.called: case for case in cases if isinstance(case, _Case)}
        report = [case if isinstance(case, OfferEntry) else self._settled(case, called) for case in cases]
        made = {entry.provider for entry in report if entry.action == "created"}
        new = [provider for provider in self._providers.new() if provider.name in made]
        inserts = [Operation("model_providers", "insert", p.id, _columns_of(p)) for p in new]
        entries = [OfferEntry("created", "provider", p.name, p.name, reason=f"type {p.type}, not active") for p in new]
        return ImportPlan((*inserts, *self._operations), (*entries, *report))

    def _cases(self, offer: Offer) -> list[_Case | OfferEntry]:
        """The rows that an offer is about; or why it is about none."""
        try:
            found: list[_Case | OfferEntry] = []
            for provider in self._providers.of(offer):
                rows = self._rows.get((provider.id, offer.model_id), [])
                if rows or offer.provider is not None:
                    found += self._at(offer, provider, rows)
            if not found:
                raise NotFound("no provider of the registry has it: name the provider that it is to be added to")
        except RegistryError as error:
            return [_skipped(offer, offer.provider or offer.provider_type or "", error)]
        return found

    def _at(self, offer: Offer, provider: Provider, rows: list[Model]) -> Iterable[_Case | OfferEntry]:
        try:
            if (provider.id, offer.model_id) in self._seen:
                raise AlreadyExists("this import has told of it already")
            self._seen.add((provider.id, offer.model_id))
            told, left_out = self._checked(offer, provider)
            if not rows:
                self._claim(offer, provider, told)
            each: Sequence[Model | None] = rows or [None]
            return [_Case(offer, provider, row, told, left_out) for row in each]
        except RegistryError as error:
            return [_skipped(offer, provider.name, error)]

    def _checked(self, offer: Offer, provider: Provider) -> tuple[dict[str, Any], dict[str, str]]:
        """What the offer says of each field, as the API would take it; and what it says that refers to nothing."""
        told = dict(offer.fields)
        if "context_window" in told:
            told["context_length"] = told.pop("context_window")
        if unknown := sorted(told.keys() - IMPORTED_FIELDS):
            raise InvalidModel(f"{', '.join(unknown)}: not a field that importers fill")
        left_out = {}
        category = told.get("category")
        if isinstance(category, str) and not self._snapshot.categories.where("key", category):
            left_out["category"] = f"there is no category {category!r}"
            del told["category"]
        said = {name: value for name, value in told.items() if value is not None}
        body = _body({"model_id": offer.model_id, "name": offer.called, "provider_id": provider.id, **said})
        dumped = body.model_dump(mode="json", include=set(said), exclude_none=True)
        told = {name: None if (value := dumped.get(name)) in EMPTY else value for name in told}
        return {
            n: v for n, v in told.items() if n != "replaced_by" and not (v is None and n in NEVER_UNKNOWN)
        }, left_out

    def _claim(self, offer: Offer, provider: Provider, told: dict[str, Any]) -> None:
        """See that a row can be made for the offer. Errors: NotFound, AlreadyExists, InvalidModel."""
        if self._only_existing:
            raise NotFound("it is not in the registry")
        if other := self._names.get((provider.id, offer.called)):
            raise AlreadyExists(f"the name {offer.called!r} is taken there by {other!r}")
        new = {"id": "new", "provider_id": provider.id, "name": offer.called, "model_id": offer.model_id}
        self._refuse_fault(Model.model_validate(new | {"model_type": told.get("model_type", "chat")}), provider)
        self._names[provider.id, offer.called] = offer.model_id

    def _settled(self, case: _Case, called: dict[str, _Case]) -> OfferEntry:
        told, left_out = dict(case.told), dict(case.left_out)
        if "replaced_by" in case.offer.fields:
            successor = case.offer.fields["replaced_by"]
            other = called.get(successor)
            name = other.row.name if other and other.row else successor
            if name is None or other or self._snapshot.models.where("name", name):
                told["replaced_by"] = name
            else:
                left_out["replaced_by"] = f"there is no model named {name!r}"
        case = replace(case, told=told, left_out=left_out)
        try:
            return self._created(case) if case.row is None else self._changed(case, case.row)
        except Invalid as error:
            return _skipped(case.offer, case.provider.name, error)

    def _created(self, case: _Case) -> OfferEntry:
        offer, provider = case.offer, case.provider
        told = {name: value for name, value in case.told.items() if value is not None}
        row = {
            "provider_id": provider.id,
            "name": offer.called,
            "model_id": offer.model_id,
            "active": self._activate,
            # Every row says the same columns: the database takes such rows together.
            **{name: told.get(name, DEFAULTS[name]) for name in SOURCED_COLUMNS},
            "card": {name: told[name] for name in CARD_FIELDS if name in told},
            "field_sources": self._marks(offer, told),
        }
        self._write(Operation("models", "insert", self._new_id(), row))
        return OfferEntry("created", "model", provider.name, offer.model_id, tuple(told), case.left_out)

    def _changed(self, case: _Case, row: Model) -> OfferEntry:
        facts = merge_facts(row, case.told, self._source)
        kept = facts.kept | case.left_out
        if not facts.writes:
            return OfferEntry("unchanged", "model", case.provider.name, row.model_id, kept=kept)
        written = {name: value for name, value in facts.writes.items() if value is not None}
        # Together with what is there: an importer's median latency and a person's 99th percentile have to agree.
        there = {name: value for name, value in row.card.items() if name not in facts.writes}
        _body({"model_id": row.model_id, "name": row.name, "provider_id": row.provider_id, **there, **written})
        if "model_type" in written:
            self._refuse_fault(row.model_copy(update={"model_type": written["model_type"]}), case.provider)
        content = update(facts.writes, self._marks(case.offer, facts.writes))
        self._write(Operation("models", "update", row.id, content, row.version))
        return OfferEntry("changed", "model", case.provider.name, row.model_id, tuple(facts.writes), kept)

    def _write(self, operation: Operation) -> None:
        """Note what has to be written. Errors: SecretInText, so that one offer does not stop all."""
        refuse_secrets(self._snapshot, [operation])
        self._operations.append(operation)

    def _marks(self, offer: Offer, names: Iterable[str]) -> dict[str, str]:
        return {name: source_label(self._source, estimated=name in offer.estimated) for name in names}

    def _refuse_fault(self, model: Model, provider: Provider) -> None:
        if fault := self._fault(model, provider):
            raise InvalidModel(fault)


def _body(fields: dict[str, Any]) -> ModelBody:
    """The fields as the API takes them. Errors: InvalidModel, with every bad one."""
    try:
        return ModelBody.model_validate(fields)
    except ValidationError as error:
        reasons = reasons_of(error)
        raise InvalidModel(f"not valid: {'; '.join(map(str, reasons))}", reasons=reasons) from error


def _columns_of(provider: Provider) -> dict[str, Any]:
    return provider.model_dump(exclude={"id", "version", "created_at", "updated_at"})


def _skipped(offer: Offer, provider: str, error: RegistryError) -> OfferEntry:
    return OfferEntry("skipped", "model", provider, mask_secrets(offer.model_id, eager=False), reason=error.message)
