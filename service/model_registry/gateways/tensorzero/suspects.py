"""Finds the rows that a refusal of a TensorZero configuration points to. Pure.

The rules give a path. The gateway writes one without quotes (`functions.a.b: variants.v: ...`), or only quotes a name
or the path of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from model_registry.entities.base import Row
from model_registry.entities.function import Function
from model_registry.entities.model import Model
from model_registry.errors import Reason
from model_registry.gateways.publishing.exclusions import DEPLOYMENTS, SECTIONS, Part, Settings, mentions
from model_registry.gateways.publishing.fault_search import Named
from model_registry.gateways.tensorzero import project
from model_registry.gateways.tensorzero.own_content import own_sections
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Path, undotted
from model_registry.gateways.tensorzero.rendering.function_tables import FALLBACK_SUFFIX
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key
from model_registry.gateways.tensorzero.rendering.routed_models import group
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

_FIRST = ("tools", "metrics")
_LAST = ("evaluations", "optimizers")
"""These name functions."""
_ENTRIES = frozenset({*_FIRST, *_LAST})
"""Sections whose entries stand alone: one can be left out. The others are settings of the gateway itself."""

_PATH_START = re.compile(
    r"(?<![\w.])(functions|models|embedding_models|tools|metrics|evaluations|optimizers|[a-z_]+)\."
)
_INSIDE = {"functions": "variants", "models": "providers", "embedding_models": "providers"}
_QUOTED = re.compile(r"`([^`\n]+)`|'([^'\n]+)'|\"([^\"\n]+)\"|\(in ([^)\n]+?)(?::\d+)?\)")
_EVALUATOR = re.compile(r"\bfunction_name::")
"""In the gateway's name of an evaluator's template, before the name of the function."""

Found = Iterator[tuple[Part, bool]]
"""Parts, and whether it is certain that they are meant."""


def settings_of(snapshot: Snapshot) -> Settings:
    """Return the sections that are settings of the gateway itself, by name."""
    return {row.name: row.value for row in own_sections(snapshot) if _is_setting(row.name)}


def _is_setting(name: str) -> bool:
    return name in project.SECTIONS and name not in _ENTRIES


@dataclass(frozen=True, slots=True)
class TensorZeroSuspects:
    """Parts of a TensorZero configuration, and those that a reason points to."""

    accepted: Callable[[], Settings | None]
    """The settings accepted last; None while nothing has been: then none can be put back."""

    def parts(self, snapshot: Snapshot) -> Sequence[Part]:
        """Return everything that can be left out; what others need comes before them."""
        sections = {row.name: row for row in own_sections(snapshot)}
        alone = [name for name in sections if name not in _LAST]
        parts = [part for name in alone for part in self._section(snapshot, name)]
        parts += [Part("models", row.id) for row in snapshot.models]
        parts += _routes(snapshot)
        parts += [Part("model_aliases", row.id) for row in snapshot.aliases]
        parts += [Part("functions", row.id) for row in snapshot.functions]
        parts += [Part("service_model_mappings", row.id) for row in snapshot.mappings]
        return parts + [part for name in _LAST for part in self._section(snapshot, name)]

    def named(self, snapshot: Snapshot, reasons: Iterable[Reason]) -> Sequence[Named]:
        """Return the parts that these reasons point to."""
        found: dict[Part, Named] = {}
        for reason in reasons:
            for part, certain in self._meant(snapshot, reason):
                if certain or part not in found:
                    found[part] = Named(part, reason, certain)
        return list(found.values())

    def owner(self, snapshot: Snapshot, part: Part) -> Part | None:
        """Return a model's provider."""
        model = snapshot.models.get(part.row_id) if part.table == "models" else None
        return Part("model_providers", model.provider_id) if model else None

    def _meant(self, snapshot: Snapshot, reason: Reason) -> Found:
        if reason.where:
            yield from ((Part("config_files", row.id), True) for row in snapshot.files.where("path", reason.where))
            yield from self._at(snapshot, undotted(reason.where))
            return
        found = [meant for path in _paths(snapshot, reason.message) for meant in self._at(snapshot, path)]
        yield from found or self._quoted(snapshot, reason.message)

    def _at(self, snapshot: Snapshot, path: Path) -> Found:
        section, name, *inside = (*path, "", "")[: max(2, len(path))]
        if section == "functions":
            yield from _in_function(snapshot, name, inside)
        elif section in MODEL_TABLES:
            yield from _in_model(snapshot, section, name, inside)
        elif section:
            yield from ((part, True) for part in self._section(snapshot, section, name))

    def _section(self, snapshot: Snapshot, name: str, entry: str | None = None) -> Iterator[Part]:
        """Yield the parts of a section, or (`entry`) the part that an entry belongs to."""
        for row in snapshot.sections.where("name", name):
            if name in _ENTRIES:
                yield from (Part(SECTIONS, row.id, key) for key in row.value if key and entry in {None, key})
            elif not _is_setting(name):
                yield Part(SECTIONS, row.id)
            elif (accepted := self.accepted()) is not None and accepted.get(name) != row.value:
                yield Part(SECTIONS, row.id, as_accepted=True)

    def _quoted(self, snapshot: Snapshot, message: str) -> Found:
        """Find the rows that the gateway quotes, or that mention what it quotes."""
        quoted = {token for match in _QUOTED.finditer(message) for token in match.groups() if token}
        files = {token for token in quoted if snapshot.files.where("path", token)}
        for name in sorted(quoted):
            yield from ((Part("models", row.id), False) for row in _models(snapshot, name))
            yield from ((Part("functions", row.id), False) for row in snapshot.functions.where("name", name))
        for part, row in _with_json(snapshot):
            if both := quoted & mentions(row):
                # A file that is broken is so for all rows that name it.
                yield part, not both.isdisjoint(files)


def _with_json(snapshot: Snapshot) -> Iterator[tuple[Part, Row]]:
    """Yield the parts that have tables of their own, each with a row that holds no other part."""
    yield from ((Part("models", row.id), row) for row in snapshot.models if row.tensorzero)
    yield from ((Part("functions", row.id), row) for row in snapshot.functions if row.tensorzero)
    yield from ((Part("service_model_mappings", row.id), row) for row in snapshot.mappings if row.tensorzero)
    for name in sorted(_ENTRIES):
        for section in snapshot.sections.where("name", name):
            for key, value in section.value.items():
                yield Part(SECTIONS, section.id, key), section.model_copy(update={"name": "", "value": {key: value}})


def _routes(snapshot: Snapshot) -> Iterator[Part]:
    """Yield the deployments that may be routed."""
    for provider in filter(is_routed, snapshot.providers.where("route_by", "deployments")):
        for model in snapshot.models.where("provider", provider.id):
            yield from (Part(DEPLOYMENTS, row.id) for row in snapshot.deployments.where("model", model.id))


def _in_function(snapshot: Snapshot, name: str, inside: Sequence[str]) -> Found:
    for function in snapshot.functions.where("name", name):
        mappings = list(_mappings(snapshot, function, inside[1])) if inside[:1] == ["variants"] and inside[1:] else []
        yield from ((part, True) for part in mappings or [Part("functions", function.id)])


def _mappings(snapshot: Snapshot, function: Function, variant: str) -> Iterator[Part]:
    for mapping in snapshot.mappings.where("function", (function.service_name, function.function_name)):
        if variant in {mapping.variant_name, f"{mapping.variant_name}{FALLBACK_SUFFIX}"}:
            yield Part("service_model_mappings", mapping.id)


def _models(snapshot: Snapshot, name: str) -> list[Model]:
    """Return the rows of a routed model, also by an alias."""
    targets = [snapshot.models.get(alias.model_id) for alias in snapshot.aliases.where("alias", name)]
    names = dict.fromkeys((name, *(target.name for target in targets if target)))
    return [row for each in names for row in snapshot.models.where("name", each)]


def _in_model(snapshot: Snapshot, section: str, name: str, inside: Sequence[str]) -> Found:
    rows = _models(snapshot, name)
    aliases = [Part("model_aliases", row.id) for row in snapshot.aliases.where("alias", name)]
    if inside[:1] == ["providers"] and inside[1:]:
        key = inside[1]
        own = [row for row in rows if provider_key(row, snapshot.providers.get(row.provider_id)) == key]
        routes = [
            route.deployment
            for each in {row.name for row in rows}
            for of_offer in group(snapshot, section, each).routes.values()
            for route in of_offer
            if route.key == key
        ]
        if own or routes:
            yield from ((Part("models", row.id), len(own) == 1) for row in own)
            yield from ((Part(DEPLOYMENTS, row.id), True) for row in routes if not own)
            return
    certain = len(rows) == 1 and not aliases
    yield from ((Part("models", row.id), certain) for row in rows)
    yield from ((part, False) for part in aliases)


def _paths(snapshot: Snapshot, message: str) -> Iterator[Path]:
    """Yield the paths in a message of the gateway: a section, a name that it has, and a name inside of that."""
    for match in _EVALUATOR.finditer(message):
        if name := _longest(message[match.end() :], _names(snapshot, "functions")):
            yield ("functions", name)
    for match in _PATH_START.finditer(message):
        section, rest = match[1], message[match.end() :]
        name = _longest(rest, _names(snapshot, section))
        if name is None:
            if section not in _INSIDE and snapshot.sections.where("name", section):
                yield (section,)
            continue
        inside = _INSIDE.get(section, "")
        start = re.match(rf"[`\]]?[:.]\s*{inside}\.", rest[len(name) :])
        within = (
            _longest(rest[len(name) + start.end() :], _inside(snapshot, section, name)) if start and inside else None
        )
        yield (section, name) if within is None else (section, name, inside, within)


def _longest(text: str, names: Iterable[str]) -> str | None:
    """Return the longest of the names that the text starts with, as a whole word."""
    fitting = [name for name in names if name and text.startswith(name) and not text[len(name) :][:1].isalnum()]
    return max(fitting, key=len, default=None)


def _names(snapshot: Snapshot, section: str) -> Iterator[str]:
    if section == "functions":
        return (row.name for row in snapshot.functions)
    if section in MODEL_TABLES:
        return (
            str(name)
            for table, key in ((snapshot.models, "name"), (snapshot.aliases, "alias"))
            for name in table.keys(key)
        )
    return (key for row in snapshot.sections.where("name", section) for key in row.value)


def _inside(snapshot: Snapshot, section: str, name: str) -> Iterator[str]:
    """Yield the names of a function's variants, or of the providers of a model."""
    if section == "functions":
        for function in snapshot.functions.where("name", name):
            for row in snapshot.mappings.where("function", (function.service_name, function.function_name)):
                yield row.variant_name
                yield f"{row.variant_name}{FALLBACK_SUFFIX}"
        return
    for model in _models(snapshot, name):
        yield provider_key(model, snapshot.providers.get(model.provider_id))
    for each in {model.name for model in _models(snapshot, name)}:
        yield from (route.key for routes in group(snapshot, section, each).routes.values() for route in routes)
