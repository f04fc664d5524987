"""Makes the model group of a service's function: the deployments of its variants' models, or why there is none. Pure.

As in TensorZero the variants of the best priority share the calls by weight, the others follow in order, and the
`fallback_model_id`s come last. Variants become levels of one group rather than LiteLLM's `fallbacks` between groups:
what a variant says of its calls then goes with it.

LiteLLM passes messages on as they are. So it cannot do what changes a request's text in TensorZero (templates, schemas,
tools, a json function), and a function with it is left out: its callers would get answers to other questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_registry.entities.function import Function, Mapping
from model_registry.gateways.litellm.config import as_table
from model_registry.gateways.litellm.deployment import INFO, PARAMS, overlaid
from model_registry.gateways.litellm.rendering.groups import Group, Member, model_group
from model_registry.gateways.litellm.rendering.left_out import TEXTS, TOOLS, instead_of_variant, setting, what_instead
from model_registry.gateways.litellm.tensorzero_keys import parameters_of, without_counterpart
from model_registry.gateways.omission import Omission
from model_registry.snapshot.snapshot import Snapshot

_IGNORED = frozenset({"variants", "experimentation", "description", "type", "evaluators", *TEXTS, *TOOLS})
"""Keys of a function's table that have reasons of their own, or that rows have."""
_PLAIN_EXPERIMENTS = frozenset({None, "static", "static_weights", "uniform"})


@dataclass(frozen=True, slots=True)
class _Step:
    """A model that answers calls of a function."""

    mapping: Mapping
    model_id: str
    key: str
    """Of its members' ids."""
    rank: int
    """Lower ones are asked first."""
    share: float


def function_group(snapshot: Snapshot, function: Function) -> Group:
    """Make the group of a function."""
    if reason := why_function_left_out(function):
        instead = what_instead([*(["output_schema"] if function.type == "json" else []), *_changing(function)])
        return Group(function.name, omissions=(Omission("function", function.name, reason, instead=instead),))
    mappings = snapshot.mappings.where("function", (function.service_name, function.function_name))
    omissions: list[Omission] = [*_not_carried(function), *_never_drawn(function, mappings)]
    steps: list[tuple[_Step, Group]] = []
    for step in _steps(snapshot, function):
        named = f"{function.name}.{step.mapping.variant_name}"
        group, reason = _group_of(snapshot, step)
        if group is None:
            off = snapshot.models.get(step.model_id) is None
            instead = instead_of_variant(step.mapping.tensorzero)
            omissions.append(Omission("variant", named, reason, switched_off=off, instead=instead))
            continue
        if not any(step.mapping.id == other.mapping.id for other, _ in steps):
            omissions += _settings(named, step.mapping)
        steps.append((step, group))
    if not steps:
        useless = "none of its variants has a model that LiteLLM can use" if omissions else "it has no variant"
        off = bool(omissions) and all(omission.switched_off for omission in omissions)
        omissions.insert(0, Omission("function", function.name, useless, switched_off=off))
    members = tuple(_members(function, steps))
    return Group(function.name, members, tuple(omissions), shared=len(members) > 1)


def why_function_left_out(function: Function) -> str | None:
    """Return why LiteLLM cannot do what this function does, all of it at once, or None."""
    reasons = []
    if function.type != "chat":
        reasons.append(f"LiteLLM has no functions of type {function.type}: no schema would be sent to the model")
    if texts := [key for key in _changing(function) if key in TEXTS]:
        reasons.append(f"LiteLLM has no templates and no schemas of inputs, and it has {', '.join(texts)}")
    if tools := [key for key in _changing(function) if key in TOOLS]:
        reasons.append(f"LiteLLM offers a model no tools of its own, and it has {', '.join(tools)}")
    return "; ".join(reasons) or None


def _changing(function: Function) -> list[str]:
    """Return the keys of a function that change what a model is sent."""
    return [key for key in (*TEXTS, *TOOLS) if function.tensorzero.get(key) not in (None, [], {}, "")]


def _steps(snapshot: Snapshot, function: Function) -> Iterator[_Step]:
    """Yield the models in the order in which they are asked."""
    mappings = snapshot.mappings.where("function", (function.service_name, function.function_name))
    best = min((mapping.priority for mapping in mappings), default=0)
    rank = 1
    for mapping in mappings:
        rank += mapping.priority != best
        share = mapping.weight if mapping.priority == best else 1.0
        yield _Step(mapping, mapping.model_id, mapping.id, rank, share)
    for mapping in mappings:
        if mapping.fallback_model_id:
            rank += 1
            yield _Step(mapping, mapping.fallback_model_id, f"{mapping.id}/fallback", rank, 1.0)


def _group_of(snapshot: Snapshot, step: _Step) -> tuple[Group | None, str]:
    """Return the group of a variant's model, or why there is none."""
    if reason := _why_variant_left_out(step.mapping):
        return None, reason
    model = snapshot.models.get(step.model_id)
    if model is None:  # foreign keys allow no other reason
        return None, "its model is left out, because validation refuses it"
    group = model_group(snapshot, model.name)
    if not group.members:
        reasons = [omission.reason for omission in group.omissions if omission.kind == "model"]
        return None, f"its model {model.name} is left out: {'; '.join(reasons)}"
    return group, ""


def _why_variant_left_out(mapping: Mapping) -> str | None:
    table = mapping.tensorzero
    kind = table.get("type", "chat_completion")
    if kind != "chat_completion":
        return f"LiteLLM has no variants of type {kind}"
    if texts := [key for key in TEXTS if table.get(key)]:
        return f"LiteLLM has no templates, and it has {', '.join(texts)}"
    return None


def _members(function: Function, steps: list[tuple[_Step, Group]]) -> Iterator[Member]:
    """Yield the deployments: the levels of a model's group are levels within those of its variant."""
    ranks = sorted({(step.rank, member.level) for step, group in steps for member in group.members})
    sharing = {step.rank for step, _ in steps if _shares(steps, step.rank)}
    for step, group in steps:
        for member in group.members:
            level = (step.rank, member.level)
            key = f"{step.key}:{member.key}"
            params = member.entry[PARAMS] | parameters_of(step.mapping.tensorzero)
            info = {"id": key} | ({"description": function.description} if function.description else {})
            entry = member.entry | {PARAMS: params, INFO: member.entry[INFO] | info}
            yield replace(
                member,
                key=key,
                entry=overlaid(overlaid(entry, function), step.mapping),
                level=ranks.index(level) + 1,
                weight=_weight(step, group, member) if step.rank in sharing else member.weight,
            )


def _shares(steps: list[tuple[_Step, Group]], rank: int) -> bool:
    """Whether the variants of a rank get shares that differ from what LiteLLM does by itself."""
    here = [(step.share, len(group.members)) for step, group in steps if step.rank == rank]
    return len(here) > 1 and (len(set(here)) > 1 or any(group.shared for step, group in steps if step.rank == rank))


def _weight(step: _Step, group: Group, member: Member) -> float:
    """Divide a variant's share among its model's deployments of a level."""
    weights = [1.0 if m.weight is None else m.weight for m in group.members if m.level == member.level]
    own = 1.0 if member.weight is None else member.weight
    return step.share * own / (sum(weights) or 1.0)


def _not_carried(function: Function) -> Iterator[Omission]:
    table = function.tensorzero
    experiment: Any = table.get("experimentation")
    kind = experiment.get("type") if isinstance(experiment, dict) else None
    if kind not in _PLAIN_EXPERIMENTS:
        yield setting(function.name, "experimentation", f"LiteLLM has no experiments of type {kind}")
    if table.get("evaluators"):
        yield setting(function.name, "evaluators", "LiteLLM evaluates nothing")
    for key in sorted(table.keys() - _IGNORED):
        yield setting(function.name, key)
    own: Any = table.get("variants")
    for name in sorted(own if isinstance(own, dict) else {}):
        reason = "LiteLLM has no variants without a model of their own"
        yield Omission("variant", f"{function.name}.{name}", reason, instead=instead_of_variant(own[name]))


def _never_drawn(function: Function, mappings: Sequence[Mapping]) -> Iterator[Omission]:
    """Yield the variants that TensorZero only asks when a request names them."""
    experiment = as_table(function.tensorzero.get("experimentation"))
    lists = [experiment.get(key) for key in ("candidate_variants", "fallback_variants")]
    drawn = {name for names in lists if isinstance(names, list | dict) for name in names}
    for mapping in mappings if drawn else ():
        if mapping.variant_name not in drawn:
            reason = "no call is its, unless it names this variant; LiteLLM asks it when no other is left"
            yield setting(f"{function.name}.{mapping.variant_name}", "weight", reason)


def _settings(named: str, mapping: Mapping) -> Iterator[Omission]:
    for key in without_counterpart(mapping.tensorzero):
        yield setting(named, key)
