"""What a gateway carries: the same whether it is brought forward or worked out anew, and whole in itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.gateway import Gateway
from model_registry.gateways.scope import Scopes, carried_difference, carries, scoped
from model_registry.snapshot.difference import TABLES
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.states import shown, states

_NAMES = st.none() | st.lists(st.sampled_from("abc"), unique=True, max_size=2)


@st.composite
def gateways(draw: st.DrawFn) -> Gateway:
    """A gateway with content of its own or of the first one, and any scope."""
    content_of = draw(st.sampled_from(["edge", "tensorzero"]))
    scope: dict[str, Any] = {"services": draw(_NAMES), "providers": draw(_NAMES)}
    return Gateway(id="edge", name="edge", kind="tensorzero", content_of=content_of, **scope)


def moved(before: Snapshot, to: Snapshot) -> Snapshot:
    """The state before with the rows of another one, of which some functions are the edge's."""
    rows: dict[str, list[tuple[str, Any]]] = {}
    for table in TABLES:
        there = {row.id: row for row in to.tables[table]}
        if table == "functions":
            edge = {"gateway": "edge"}
            there = {
                row_id: row.model_copy(update=edge) if int(row_id[0], 16) % 2 else row for row_id, row in there.items()
            }
        gone = {row.id: None for row in before.tables[table] if row.id not in there}
        rows[table] = [*gone.items(), *there.items()]
    return before.with_rows(rows)


@given(st.lists(states(), min_size=2, max_size=5), gateways())
def test_what_is_brought_forward_is_what_is_worked_out_anew(steps: list[Snapshot], gateway: Gateway) -> None:
    scopes, current = Scopes(), Snapshot.empty()
    for step in steps:
        current = moved(current, step)
        assert shown(scopes.of(current, gateway)) == shown(scoped(current, gateway))


@given(states(), gateways())
def test_what_a_gateway_carries_refers_to_nothing_that_it_does_not(state: Snapshot, gateway: Gateway) -> None:
    carried = scoped(moved(Snapshot.empty(), state), gateway)
    functions = {(row.service_name, row.function_name) for row in carried.functions}

    assert all(carried.providers.get(model.provider_id) for model in carried.models)
    assert all(carried.models.get(alias.model_id) for alias in carried.aliases)
    for mapping in carried.mappings:
        assert carried.models.get(mapping.model_id)
        assert mapping.fallback_model_id is None or carried.models.get(mapping.fallback_model_id)
        assert (mapping.service_name, mapping.function_name) in functions
    assert {row.gateway for row in carried.functions} <= {gateway.content_of}


@given(states(), gateways())
def test_a_row_is_carried_if_it_is_in_what_is_carried(state: Snapshot, gateway: Gateway) -> None:
    whole = moved(Snapshot.empty(), state)
    carried = scoped(whole, gateway)
    for table in ("model_providers", "models", "model_aliases", "functions", "service_model_mappings"):
        for row in whole.tables[table]:
            assert carries(whole, gateway, row) == (carried.tables[table].get(row.id) is not None)


def test_a_gateway_that_carries_everything_has_the_snapshot_itself() -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider()))
    snapshot = catalogue.snapshot()

    assert scoped(snapshot, Gateway(id="g", name="g", kind="litellm")) is snapshot


def test_a_difference_has_only_rows_that_the_gateway_carries() -> None:
    catalogue = Catalogue()
    for name in ("near", "far"):
        catalogue.model(catalogue.provider(name), f"at-{name}")
    gateway = Gateway(id="g", name="g", kind="tensorzero", providers=["near"])

    found = carried_difference(gateway, Snapshot.empty(), catalogue.snapshot())
    assert {change.name for change in found} == {"near", "at-near at near"}
