"""Planning offers: rows are found and not duplicated, people's edits win, importers keep off each other's fields."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.field_sources import IMPORTED_FIELDS
from model_registry.catalog.resources import MODEL, change
from model_registry.catalog.views import model_view
from model_registry.entities.change import Operation
from model_registry.entities.model import Model
from model_registry.entities.offer import Offer
from model_registry.entities.provider import Provider
from model_registry.errors import ProviderElsewhere
from model_registry.imports.offers import plan_offers
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

IDS = count()


def planned(snapshot: Snapshot, *offers: Offer, source: str = "test", **more: Any) -> ImportPlan:
    return plan_offers(snapshot, offers, source, lambda: f"new-{next(IDS)}", **more)


def after(snapshot: Snapshot, *offers: Offer, source: str = "test", **more: Any) -> Snapshot:
    return snapshot.preview(planned(snapshot, *offers, source=source, **more).operations)


def offer(model_id: str = "a", provider: str | None = "openai", kind: str | None = "openai", **fields: Any) -> Offer:
    return Offer(provider=provider, provider_type=kind, model_id=model_id, fields=fields)


def only(snapshot: Snapshot) -> Model:
    (model,) = snapshot.models
    return model


def told(plan: ImportPlan) -> list[str]:
    return [f"{e.action} {e.name}{f': {e.detail}' if e.detail else ''}" for e in plan.report]


def catalogue_with(model: dict[str, Any], provider: str = "mine", kind: str = "openai", **columns: Any) -> Snapshot:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider(provider, kind, **columns), "m", **{"model_id": "a", **model})
    return catalogue.snapshot()


def test_a_row_is_found_by_its_providers_name_or_its_only_one_of_the_type() -> None:
    for provider in ("openai", "mine"):
        snapshot = catalogue_with({}, provider)
        model = only(after(snapshot, offer(description="x")))
        assert (model.name, model.description, model.active) == ("m", "x", True)


def test_the_only_server_of_a_type_is_not_the_one_that_is_meant_but_one_with_the_same_address_is() -> None:
    snapshot = catalogue_with({}, "gpu", "ollama", api_base="http://gpu-1:11434/v1")
    elsewhere = Offer(provider="o", provider_type="ollama", api_base="http://gpu-2:11434/v1", model_id="a")
    assert told(planned(snapshot, elsewhere))[1] == "created a"
    here = Offer(provider="o", provider_type="ollama", api_base="http://GPU-1:11434", model_id="a")
    assert told(planned(snapshot, here)) == ["unchanged a"]
    for kind in ("custom", "openai_compatible", "vllm"):
        only_one = catalogue_with({}, "some", kind)
        assert told(planned(only_one, offer(provider="other", kind=kind)))[1] == "created a"


def at(base: str, name: str = "ollama", *, suggested: bool = True, model_id: str = "m", kind: str = "ollama") -> Offer:
    """A model of a server."""
    return Offer(provider=name, provider_suggested=suggested, provider_type=kind, api_base=base, model_id=model_id)


def providers(snapshot: Snapshot) -> dict[str, str | None]:
    return {provider.name: provider.api_base for provider in snapshot.providers}


def test_each_of_three_boxes_gets_a_provider_of_its_own() -> None:
    boxes = [f"http://{box}:11434/v1" for box in ("gpu-1", "gpu-2", "gpu-3")]
    snapshot = Snapshot.empty()
    for base in (*boxes, *(base.upper().replace("/V1", "/") for base in boxes)):
        snapshot = after(snapshot, at(base))
    assert providers(snapshot) == dict(zip(("ollama", "ollama-gpu-2", "ollama-gpu-3"), boxes, strict=True))
    assert sorted(snapshot.providers[m.provider_id].api_base or "" for m in snapshot.models) == boxes
    snapshot = after(snapshot, at("http://gpu-2:11435/v1"), at("http://gpu-2:11436/v1"))
    assert list(providers(snapshot)) == ["ollama", *(f"ollama-gpu-{n}" for n in ("2", "2-11435", "2-11436", "3"))]


def test_each_address_of_a_loopback_is_a_box_of_its_own() -> None:
    boxes = [f"http://127.0.0.{number}:11434/v1" for number in (1, 2, 3)]
    snapshot = Snapshot.empty()
    for base in (*boxes, "http://localhost:11434"):
        snapshot = after(snapshot, at(base))
    assert sorted(snapshot.providers[m.provider_id].api_base or "" for m in snapshot.models) == boxes


@pytest.mark.parametrize("base", ["http://other:11434/v1", "http://gpu:11435", "http://localhost:11434"])
def test_a_name_that_has_another_address_is_refused_with_what_to_write(base: str) -> None:
    snapshot = after(Snapshot.empty(), at("http://gpu:11434/v1", "box"))
    with pytest.raises(ProviderElsewhere, match=r"'box' is at http://gpu:11434/v1, not at .*\. Name another provider"):
        planned(snapshot, at(base, "box", suggested=False), at(base, "box", suggested=False, model_id="n"))
    snapshot = after(snapshot, at(base, "there"))
    with pytest.raises(ProviderElsewhere, match="Name the provider that has this address, 'there'"):
        planned(snapshot, at(base, "box", suggested=False))
    # Of many offers, such as those of a CSV file, the others go in.
    plan = planned(snapshot, at(base, "box", suggested=False), at(base, "there", suggested=False, model_id="n"))
    assert [entry.action for entry in plan.report] == ["skipped", "created"]


def test_a_vendors_own_address_is_known() -> None:
    snapshot = catalogue_with({}, "groq", "groq")
    assert told(planned(snapshot, at("https://api.groq.com/openai/v1", "mine", suggested=False, model_id="a"))) == [
        "unchanged a"
    ]
    with pytest.raises(ProviderElsewhere, match=r"'groq' is at https://api\.groq\.com"):
        planned(snapshot, at("http://localhost:8000/v1", "groq", suggested=False))


def test_of_several_accounts_at_one_address_people_say_which() -> None:
    catalogue = Catalogue()
    for key in ("ONE_KEY", "TWO_KEY"):
        catalogue.provider(key.lower(), "openai", api_base="https://api.openai.com/v1", api_key_env_var=key)
    offer = at("https://api.openai.com/v1/", "new", suggested=False, kind="openai")
    assert "one_key, two_key" in planned(catalogue.snapshot(), offer).report[0].detail
    named = offer.model_copy(update={"provider": "two_key"})
    assert told(planned(catalogue.snapshot(), named)) == ["created m"]


@pytest.mark.parametrize(("known", "offered"), [("llama3.2", "Llama3.2:latest"), ("hf.co/o/m", "huggingface.co/O/m")])
def test_an_ollama_knows_a_model_by_several_names(known: str, offered: str) -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("box", "ollama", api_base="http://box:11434/v1")
    for name in (known, offered):
        catalogue.model(provider, name, model_id=name)
    catalogue.model(provider, "third", model_id=f"library/{known}")
    plan = planned(catalogue.snapshot(), at("http://box:11434/v1", model_id=offered))
    assert [entry.action for entry in plan.report] == ["unchanged"] * 3
    twice = planned(catalogue.snapshot(), *(at("http://box:11434", model_id=name) for name in (known, offered)))
    assert told(twice)[-1] == f"skipped {offered}: this import offered it already"


@pytest.mark.parametrize(("known", "offered"), [("hf.co/o/m:q4", "O/m:Q4"), ("o/m", "huggingface.co/o/m")])
def test_a_model_of_the_hub_is_met_with_and_without_the_hubs_name(known: str, offered: str) -> None:
    snapshot = catalogue_with({"model_id": known}, "box", "ollama", api_base="http://box:11434/v1")
    offers = [offer(offered, provider=None, kind=None, license="mit")]
    assert told(planned(snapshot, *offers, source="huggingface")) == [f"changed {known}"]
    assert told(planned(snapshot, *offers))[0].startswith("skipped")  # to an Ollama they are two models


def test_another_spelling_is_another_model_where_both_are_offered() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("mine", "vllm"), "m", model_id="Org/M")
    snapshot = catalogue.snapshot()
    assert [entry.action for entry in planned(snapshot, offer("org/m", "mine")).report] == ["unchanged"]
    both = planned(snapshot, offer("org/m", "mine"), offer("Org/M", "mine"))
    assert [entry.action for entry in both.report] == ["created", "unchanged"]


def test_two_providers_of_a_type_are_for_people_to_tell_apart() -> None:
    catalogue = Catalogue()
    catalogue.provider("one", "openai")
    catalogue.provider("two", "openai")
    plan = planned(catalogue.snapshot(), offer())
    assert plan.operations == ()
    assert "one, two" in plan.report[0].detail


def test_every_row_that_offers_the_model_gets_the_facts_and_none_is_made() -> None:
    catalogue = Catalogue()
    for name in ("one", "two"):
        provider = catalogue.provider(name)
        catalogue.model(provider, "m", model_id="a")
        catalogue.model(provider, "n", model_id="a")
    snapshot = after(catalogue.snapshot(), offer(provider=None, kind=None, parameters="8B"))
    assert [model.card for model in snapshot.models] == [{"parameters": "8B"}] * 4


def test_nothing_is_made_where_nobody_says_at_whom_or_only_existing_rows_are_asked_for() -> None:
    empty = Snapshot.empty()
    assert planned(empty, offer(provider=None)).operations == ()
    assert planned(empty, offer(), only_existing=True).operations == ()
    plan = planned(catalogue_with({}), offer("b"), only_existing=True)
    assert told(plan) == ["skipped b: it is not in the registry"]


def test_a_provider_is_made_once_switched_off_and_only_for_a_model() -> None:
    bad = offer("bad", cost_per_1m_input_tokens=-1)
    assert planned(Snapshot.empty(), bad).operations == ()
    plan = planned(Snapshot.empty(), bad, offer("a"), offer("b"))
    assert [operation.table for operation in plan.operations] == ["model_providers", "models", "models"]
    assert (plan.operations[0].row or {})["active"] is False


def test_new_models_are_switched_off_unless_somebody_asks() -> None:
    assert [only(after(Snapshot.empty(), offer(), activate=a)).active for a in (False, True)] == [False, True]


def test_a_name_that_another_model_has_is_not_taken_from_it() -> None:
    snapshot = catalogue_with({"model_id": "other"})
    named = Offer(provider="mine", model_id="a", name="m")
    assert told(planned(snapshot, named)) == ["skipped a: the name 'm' is taken there by 'other'"]


def test_one_model_is_reported_once() -> None:
    assert told(planned(Snapshot.empty(), offer(), offer()))[1:] == [
        "created a",
        "skipped a: this import offered it already",
    ]


def test_an_importer_changes_and_takes_back_what_is_its_own() -> None:
    first = after(Snapshot.empty(), offer(max_output_tokens=5, tags=["x"], description="d"))
    plan = planned(first, offer(max_output_tokens=6, tags=None, description=None))
    assert plan.report[0].fields == ("max_output_tokens", "tags", "description")
    model = only(first.preview(plan.operations))
    assert (model.card, model.description) == ({"max_output_tokens": 6}, None)
    assert model.field_sources == {"max_output_tokens": "test"}
    assert only(after(first, offer(max_output_tokens=6, tags=None), source="other")) == only(first)


def test_what_is_estimated_is_marked_and_stays_the_importers_own() -> None:
    estimate = Offer(
        provider="p", provider_type="vllm", model_id="a", api_base="http://h/v1", estimated=["requirements"]
    )
    small, large = (estimate.model_copy(update={"fields": {"requirements": {"min_vram_gb": gb}}}) for gb in (1, 2))
    first = after(Snapshot.empty(), small)
    assert only(first).field_sources == {"requirements": "test (estimate)"}
    assert only(after(first, large)).card == {"requirements": {"min_vram_gb": 2.0}}


def test_a_value_that_the_source_has_no_longer_is_cleared_with_the_reason() -> None:
    first = after(Snapshot.empty(), offer(requirements={"min_vram_gb": 2}, max_output_tokens=1))
    unsure = offer(max_output_tokens=1).model_copy(update={"left_out": {"requirements": "two sizes", "active": "no"}})
    plan = planned(first, unsure)
    assert (plan.report[0].fields, plan.report[0].kept) == (("requirements",), {"requirements": "two sizes"})
    assert only(first.preview(plan.operations)).card == {"max_output_tokens": 1}
    assert planned(Snapshot.empty(), unsure).report[1].kept == {"requirements": "two sizes"}


def test_what_a_person_and_an_importer_say_has_to_agree() -> None:
    catalogue = Catalogue()
    row = catalogue.model(catalogue.provider("openai", "openai"), "m", model_id="a")
    snapshot = catalogue.snapshot()
    snapshot = snapshot.preview([Operation("models", "update", row, {"card_changes": {"latency_p99_ms": 100}})])
    plan = planned(snapshot, offer(latency_p50_ms=200, max_output_tokens=5))
    assert plan.operations == ()
    assert "latency_p99_ms" in plan.report[0].detail


def test_a_reference_to_nothing_is_left_out_and_the_rest_goes_in() -> None:
    entry = planned(Snapshot.empty(), offer(category="cars", replaced_by="nobody", max_output_tokens=1)).report[1]
    assert (entry.action, entry.fields) == ("created", ("max_output_tokens",))
    assert entry.kept == {
        "category": "there is no category 'cars'",
        "replaced_by": "there is no model named 'nobody'",
    }


def test_a_successor_is_named_as_its_row_is_wherever_it_stands() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("mine", "openai"), "our_b", model_id="b")
    snapshot = after(
        catalogue.snapshot(), offer("a", replaced_by="b"), offer("c", replaced_by="d"), offer("b"), offer("d")
    )
    found = {model.model_id: model.card.get("replaced_by") for model in snapshot.models}
    assert found == {"a": "our_b", "b": None, "c": "d", "d": None}


def test_what_the_gateways_rules_refuse_is_skipped_and_not_named_as_a_successor() -> None:
    def fault(model: Model, _provider: Provider) -> str | None:
        return "no" if model.model_type == "embedding" else None

    plan = planned(Snapshot.empty(), offer("a", replaced_by="b"), offer("b", model_type="embedding"), fault=fault)
    assert told(plan)[1:] == ["created a", "skipped b: no"]
    assert plan.report[1].kept == {"replaced_by": "there is no model named 'b'"}


@pytest.mark.parametrize("field", ["name", "active", "tensorzero", "metadata", "field_sources", "colour"])
def test_importers_fill_facts_and_nothing_else(field: str) -> None:
    named = Offer(provider="openai", provider_type="openai", model_id="a", fields={field: {}})
    assert planned(Snapshot.empty(), named).operations == ()


# Few ids and few values, so that importers and people get in each other's way.
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "context_length": st.sampled_from([None, 1, 2]),
        "description": st.sampled_from([None, "", "x", "y"]),
        "capabilities": st.sampled_from([None, [], ["chat"], ["vision", "chat", "vision"]]),
        "model_type": st.sampled_from([None, "chat", "vl"]),
        "status": st.sampled_from([None, "active", "deprecated"]),
        "tags": st.sampled_from([None, [], ["a"]]),
        "urls": st.sampled_from([None, {}, {"docs": None}, {"docs": "https://example.org"}]),
        "cost_per_1m_input_tokens": st.sampled_from([None, 0, 0.15, -1]),
        "latency_p50_ms": st.sampled_from([None, 1, 3]),
        "latency_p99_ms": st.sampled_from([None, 2]),
        "released_on": st.sampled_from([None, "2026-01-02"]),
        "replaced_by": st.sampled_from([None, "a", "b"]),
        "category": st.sampled_from([None, "cars"]),
        "requirements": st.sampled_from([None, {}, {"min_vram_gb": 2}]),
    },
)
OFFERS = st.lists(
    st.builds(
        Offer,
        provider=st.sampled_from(["openai", "mine", None]),
        provider_type=st.sampled_from(["openai", "custom"]),
        model_id=st.sampled_from("ab"),
        fields=FACTS,
    ),
    max_size=3,
)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), OFFERS), max_size=2))
def test_a_second_time_changes_nothing_whatever_came_before(imports: list[tuple[str, list[Offer]]]) -> None:
    snapshot = Snapshot.empty()
    for source, offers in imports:
        snapshot = after(snapshot, *offers, source=source)
        again = planned(snapshot, *offers, source=source)
        assert again.operations == ()
        assert not {entry.action for entry in again.report} & {"created", "changed"}


@given(OFFERS, FACTS, OFFERS, st.sampled_from(["one", "two"]))
def test_hand_edits_win(first: list[Offer], edit: dict[str, Any], second: list[Offer], source: str) -> None:
    snapshot = after(catalogue_with({}, "openai"), *first, source="one")
    edited = snapshot
    for model in snapshot.models:
        try:
            edited = edited.preview([change(MODEL, edited, model, edit)])
        except Exception:  # noqa: BLE001, S112 (what the API would not take is no edit)
            continue
    decided = {
        model.id: {f: _value(model, f) for f in edit if model != snapshot.models[model.id]} for model in edited.models
    }
    final = after(edited, *second, source=source)
    for model_id, fields in decided.items():
        changed = {f: v for f, v in fields.items() if v != _value(snapshot.models[model_id], f)}
        assert {f: _value(final.models[model_id], f) for f in changed} == changed


@given(OFFERS, OFFERS)
def test_importers_leave_each_others_fields_alone(one: list[Offer], two: list[Offer]) -> None:
    first = after(Snapshot.empty(), *one, source="one")
    second = after(first, *two, source="two")
    for model in first.models:
        later = second.models[model.id]
        for field in IMPORTED_FIELDS:
            if field in model.field_sources:
                assert (_value(later, field), later.field_sources[field]) == (_value(model, field), "one")


@given(OFFERS)
def test_what_comes_in_is_what_the_api_would_take(offers: list[Offer]) -> None:
    snapshot = after(Snapshot.empty(), *(o.model_copy(update={"provider": "openai"}) for o in offers))
    for model in snapshot.models:
        body = MODEL.body.model_validate(model_view(snapshot, model) | {"provider_id": "openai"})
        assert body.columns(snapshot)["card"] == model.card


def _value(model: Model, field: str) -> Any:
    return getattr(model, field) if field in Model.model_fields else model.card.get(field)
