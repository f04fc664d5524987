"""Plans the import of a LiteLLM configuration, so that a gateway of the registry has it. Pure; the caller writes.

What the configuration mentions becomes as it has it, and everything else stays as it is. Entries become model rows at
their providers; what rows cannot say is in their columns `litellm`, and what is no model in sections of the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model_registry.entities.base import GatewayLongName, LongName
from model_registry.entities.gateway import Gateway
from model_registry.entities.model import GATEWAY_CONTEXTS, Model, ModelDraft
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.entities.provider_types import has_reserved_prefix
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.litellm.config import Entry, LitellmConfig, Path, Table
from model_registry.gateways.litellm.importing.gateway_row import KIND, gateway_of, import_gateway
from model_registry.gateways.litellm.importing.literal_keys import LiteralKey, without_literal_keys
from model_registry.gateways.litellm.importing.losses import refuse_losses
from model_registry.gateways.litellm.importing.models import column, facts_of, rank_of, ranks_of, tags_of, type_of
from model_registry.gateways.litellm.importing.names import why_no_model
from model_registry.gateways.litellm.importing.offers import ImportedOffer, read_offer
from model_registry.gateways.litellm.importing.others import settle_with_others
from model_registry.gateways.litellm.importing.providers import Providers
from model_registry.gateways.litellm.importing.settings import import_aliases, import_sections
from model_registry.gateways.litellm.importing.wildcards import expanded
from model_registry.gateways.scope import scoped
from model_registry.imports.plan import ImportPlan, Planner, WantedRow, short
from model_registry.snapshot.snapshot import Snapshot

_NAME: TypeAdapter[str] = TypeAdapter(GatewayLongName)
_MODEL_ID: TypeAdapter[str] = TypeAdapter(LongName)

_ELSEWHERE = "keys, teams, users, budgets and models that were added while it ran are in LiteLLM's own database"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the caller chooses."""

    gateway: str | None = None
    file: str = "litellm"
    """The path of the configuration: a new gateway is named after it."""
    skip_literal_keys: bool = False
    overwrite: bool = False
    """Whether groups that other LiteLLM gateways have otherwise change. If not, the import is refused."""
    wildcards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """model_name of a wildcard -> what to put in place of its `*`."""


def plan_import(
    config: LitellmConfig, snapshot: Snapshot, new_id: Callable[[], str], options: ImportOptions
) -> ImportPlan:
    """Plan what has to be written so that a gateway has this configuration: nothing, when it does.

    Raises:
        InvalidConfiguration: it holds keys, or rows could not keep all of it; with each place and what to do.
        AmbiguousName, Conflict: which gateway is meant is not clear, or it is of another kind.
    """
    snapshot = snapshot.without_fleet()
    config, literal = without_literal_keys(config)
    if literal and not options.skip_literal_keys:
        _refuse_literal(literal)
    return _Import(expanded(config, options.wildcards), snapshot, new_id, options).plan(literal)


def _refuse_literal(literal: tuple[LiteralKey, ...]) -> None:
    reasons = [
        Reason(
            key.where,
            f"holds a key or password, which the registry does not store: set {key.variable} to it where LiteLLM runs, "
            f"and write os.environ/{key.variable}",
        )
        for key in literal
    ]
    hint = "import it with --skip-literal-keys (over HTTP skip_literal_keys=true) to have them left out like this"
    raise InvalidConfiguration(
        f"The configuration holds {len(reasons)} secrets: {reasons[0]}; or {hint}", reasons=reasons
    )


class _Import:
    """One import."""

    def __init__(
        self, config: LitellmConfig, snapshot: Snapshot, new_id: Callable[[], str], options: ImportOptions
    ) -> None:
        self.config = config
        self.snapshot = snapshot
        self.overwrite = options.overwrite
        self.planner = Planner(snapshot, new_id, on_problem=self._problem)
        self.reasons: list[Reason] = []
        self.first_rows: dict[str, str] = {}
        self.scope = snapshot
        """What the gateway carries of the registry as it is."""
        self.own: set[str] = set()
        """The model rows that are entries of the configuration."""
        found = gateway_of(snapshot, options.gateway, options.file)
        self.old_gateway = found if isinstance(found, Gateway) else None
        self.gateway = (
            found if isinstance(found, Gateway) else Gateway(id=new_id(), name=found, kind=KIND, content_of=found)
        )
        names = {entry.model_name for entry in config.entries}
        self.providers = Providers(snapshot, new_id, self.old_gateway, names)

    def plan(self, literal: tuple[LiteralKey, ...]) -> ImportPlan:
        """Plan all of it."""
        groups, kept = self._groups()
        rows = {name: self._rows(name, entries) for name, entries in groups.items()}
        providers = {provider.id: provider for found in rows.values() for _, provider, _ in found}
        self.gateway = import_gateway(self.gateway, self.old_gateway, providers.values(), self.config, self.planner)
        self.scope = scoped(self.snapshot, self.gateway)
        self._write_providers(providers.values())
        for name, found in rows.items():
            self._write_group(name, found)
        router_settings = import_aliases(self.config, self.first_rows, self.planner)
        import_sections(self.config, router_settings, [e for e, _ in kept], self.gateway, self.planner)
        self._notes(kept, literal)
        if self.reasons:
            raise InvalidConfiguration(f"The configuration cannot be imported: {self.reasons[0]}", reasons=self.reasons)
        refuse_losses(self.config, self.planner, self.gateway, self.own)
        settle_with_others(self.planner, self.gateway, rows, overwrite=self.overwrite)
        return self.planner.plan()

    def _groups(self) -> tuple[dict[str, list[Entry]], list[tuple[Entry, str]]]:
        """Return the entries that become models, by group, and those that are kept as they are, each with the reason.

        A group in an order is kept whole with one of them: rows have ranks, what is kept has the file's `order`.
        """
        groups: dict[str, list[Entry]] = {}
        for entry in self.config.entries:
            groups.setdefault(entry.model_name, []).append(entry)
        kept: list[tuple[Entry, str]] = []
        for name, entries in groups.items():
            reasons = {entry.path: reason for entry in entries if (reason := self._why_kept(entry))}
            if taken := self._alias_of(name):
                to_do = "delete that alias and import again, to have it as a model"
                reasons = {entry.path: f"its name is an alias of {taken} in the registry; {to_do}" for entry in entries}
            if reasons and any(rank_of(entry) is not None for entry in entries):
                other = "another entry of its group, which has an order, is no model"
                reasons = {entry.path: reasons.get(entry.path, other) for entry in entries}
            kept += [(entry, reasons[entry.path]) for entry in entries if entry.path in reasons]
            groups[name] = [entry for entry in entries if entry.path not in reasons]
        return groups, sorted(kept, key=lambda found: int(found[0].path[1]))

    def _alias_of(self, name: str) -> str | None:
        """Return the model that a name is an alias of, for gateways that would then have two things of this name."""
        for alias in self.snapshot.aliases.where("alias", name):
            model = self.snapshot.models.get(alias.model_id)
            if alias.context in GATEWAY_CONTEXTS and model is not None and model.name != name:
                return model.name
        return None

    def _problem(self, path: Path, message: str) -> None:
        self.reasons.append(Reason(self.config.place(path), message))

    def _why_kept(self, entry: Entry) -> str | None:
        if reason := why_no_model(entry):
            return reason
        if type_of(entry) is None:
            return f"the catalogue has no models of the mode {entry.info.get('mode')}"
        if has_reserved_prefix(entry.model_name):
            return "TensorZero keeps such names for itself"
        offer = read_offer(entry, str(type_of(entry)))
        try:
            _NAME.validate_python(entry.model_name)
            _MODEL_ID.validate_python(offer.name.model_id)
            ProviderDraft.model_validate({"name": "any", **offer.provider})
        except ValidationError as error:
            return f"a row cannot have it: {error.errors(include_input=False, include_url=False)[0]['msg']}"
        return None

    def _rows(self, name: str, entries: list[Entry]) -> list[tuple[ImportedOffer, Provider, Model | None]]:
        offers = [read_offer(entry, str(type_of(entry))) for entry in entries if not self._is_of_a_node(name, entry)]
        if not offers:
            return []
        found = self.providers.assign(offers)
        return [(offer, provider, row) for offer, (provider, row) in zip(offers, found, strict=True)]

    def _is_of_a_node(self, name: str, entry: Entry) -> bool:
        """Whether the registry itself makes this entry, of a live deployment at a node."""
        model_id, at, _ = str(entry.info.get("id", "")).partition("@")
        return bool(at) and any(row.id == model_id for row in self.snapshot.models.where("name", name))

    def _write_providers(self, rows: Iterable[Provider]) -> None:
        for row in rows:
            old = self.snapshot.providers.get(row.id)
            new = row.model_dump(include={"name", "type", "api_base", "api_key_env_var", "tensorzero", "litellm"})
            where = f" at {row.api_base}" if row.api_base else ""
            key = f", key in {row.api_key_env_var}" if row.api_key_env_var else ""
            values: Table = {"active": True} if old else {**new, "active": True}
            summary = f"{row.type}{where}{key}"
            wanted = WantedRow("model_providers", "provider", row.name, values, draft=ProviderDraft, summary=summary)
            self.planner.upsert(wanted, old, row.id)

    def _write_group(self, name: str, found: list[tuple[ImportedOffer, Provider, Model | None]]) -> None:
        if not found:
            return
        ranks = ranks_of([offer.entry for offer, _, _ in found], [old for _, _, old in found])
        for (offer, provider, old), rank in zip(found, ranks, strict=True):
            row_id = self._write_model(offer, provider, old, rank)
            self.own.add(row_id)
            self.first_rows.setdefault(name, row_id)
        kept = {old.id for _, _, old in found if old}
        self._keep_behind(name, kept, ranks)

    def _write_model(self, offer: ImportedOffer, provider: Provider, old: Model | None, rank: int) -> str:
        entry = offer.entry
        columns, card = facts_of(entry)
        stated = offer.model_type if "mode" in entry.info or old is None else old.model_type
        if old is not None and _same_mode(old.model_type, stated):
            stated = old.model_type
        tags = [tag for tag in tags_of(entry) if old is None or tag not in old.capabilities]
        values: Table = {
            "model_id": offer.name.model_id,
            "model_type": stated,
            "routing_priority": rank,
            "active": True,
        }
        values |= columns
        if tags or old is None:
            values["capabilities"] = [*(old.capabilities if old else ()), *tags]
        base = old or Model(id="new", provider_id=provider.id, name=entry.model_name, model_id="")
        row = base.model_copy(update={**values, "card": base.card | card})
        values["litellm"] = column(offer, row, provider)
        if old is None:
            values |= {"provider_id": provider.id, "name": entry.model_name, "card": card}
        wanted = WantedRow(
            "models",
            "model",
            f"{entry.model_name} on {provider.name}",
            {**values, **({} if old is None else card)},
            path=entry.path,
            summary=f"{short(offer.name.model_id)} on {provider.name}",
            current=lambda found, key: found.card.get(key) if key in card else getattr(found, key),
            edit=lambda _row, changed: _edit(changed, card),
            describe=_described,
        )
        self._check(values, base, entry.path)
        return self.planner.upsert(wanted, old)

    def _check(self, values: Table, base: Model, path: Path) -> None:
        try:
            ModelDraft.model_validate({**base.model_dump(), **values})
        except ValidationError as error:
            for item in error.errors(include_input=False, include_url=False):
                self._problem(path, f"{'.'.join(map(str, item['loc']))}: {item['msg']}")

    def _keep_behind(self, name: str, kept: set[str], ranks: list[int]) -> None:
        """Keep rows of the group that the configuration does not mention behind those that it does."""
        for row in self.scope.models.where("name", name):
            if row.id in kept or not row.active:
                continue
            provider = self.snapshot.providers.get(row.provider_id)
            here = f"{name} on {provider.name if provider else row.provider_id}"
            if row.routing_priority <= max(ranks):
                wanted = WantedRow("models", "model", here, {"routing_priority": max(ranks) + 1})
                self.planner.upsert(wanted, row)
            detail = "is in this group too, and is asked when no deployment of the configuration is left"
            self.planner.note("warning", "model", here, f"{detail}; switch it off if that is not meant")

    def _notes(self, kept: list[tuple[Entry, str]], literal: tuple[LiteralKey, ...]) -> None:
        for key in literal:
            detail = f"left out: set {key.variable} to it where LiteLLM runs"
            self.planner.note("skipped", "key", key.where, detail)
        for entry, reason in kept:
            detail = f"kept as it is in the section model_list: {reason}"
            self.planner.note("normalised", "entry", entry.model_name, detail)
        for note in self.config.notes:
            self.planner.note(note.action, "configuration", note.where, note.message)
        if self.config.settings("general_settings").get("database_url") is not None:
            self.planner.note("ignored", "database", "general_settings.database_url", f"{_ELSEWHERE}: they stay there")


def _same_mode(one: str, other: str) -> bool:
    return {one, other} <= {"chat", "vl"}


def _edit(changed: dict[str, Any], card: Table) -> dict[str, Any]:
    facts = {key: value for key, value in changed.items() if key in card}
    rest = {key: value for key, value in changed.items() if key not in card}
    return rest | ({"card_changes": facts} if facts else {})


def _described(old: Model, changed: dict[str, Any]) -> str:
    before = old.model_dump() | old.card
    return "; ".join(f"{key} {short(before.get(key))} -> {short(value)}" for key, value in changed.items())
