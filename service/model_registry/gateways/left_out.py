"""What a gateway's kind cannot have of what the gateway carries: known before anything is switched to it. Pure.

It is what rendering lists, for every kind: there is no second list.
"""

from __future__ import annotations

from collections import Counter

from model_registry.entities.gateway import Gateway
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.omission import Omission
from model_registry.gateways.scope import scoped
from model_registry.snapshot.snapshot import Snapshot


def beyond_its_kind(snapshot: Snapshot, gateway: Gateway) -> tuple[Omission, ...]:
    """Return what a gateway of this kind cannot have, each with what to do instead.

    Rows that are left out for reasons of their own, such as inactive ones, are not among them. Renders everything:
    about a second for 10,000 models. Empty for a kind that this version does not render.

    Args:
        snapshot: the whole registry.
        gateway: its row, which need not be written yet.
    """
    kind = KINDS.get(gateway.kind)
    if kind is None:
        return ()
    omitted = kind.make_renderer().render(scoped(snapshot, gateway), gateway).omitted
    return tuple(omission for omission in omitted if omission.instead)


def beyond_its_kind_in_words(snapshot: Snapshot, gateway: Gateway) -> str | None:
    """Return the same in one sentence; None where the gateway can have everything."""
    counts = Counter(omission.kind for omission in beyond_its_kind(snapshot, gateway))
    if not counts:
        return None
    listed = ", ".join(f"{count} {_several(kind) if count != 1 else kind}" for kind, count in sorted(counts.items()))
    return (
        f"kind: a gateway of the kind {gateway.kind} cannot have all that it carries: left out are {listed}. Each with "
        f"its place, and what to do instead: GET /api/gateways/{gateway.name}/omitted"
    )


def _several(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"
