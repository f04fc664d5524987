"""The catalogue as a CSV table, exported and imported without loss."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.field_sources import EMPTY, IMPORTED_FIELDS
from model_registry.catalog.views import model_view
from model_registry.entities.model_card import ModelCard, known
from model_registry.imports.offers import plan_offers
from model_registry.imports.sources.csv_rows import read_csv, write_csv
from model_registry.snapshot.snapshot import Snapshot

PRINTABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
WORDS = st.text(PRINTABLE, min_size=1, max_size=6)
JSON = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(0, 9) | st.floats(0, 1) | WORDS, max_size=2)
SCORES = st.none() | st.floats(0, 1)
CARDS = st.builds(
    ModelCard,
    display_name=st.none() | WORDS,
    max_output_tokens=st.none() | st.integers(1, 99),
    cost_per_1m_input_tokens=st.none() | st.floats(0, 100),
    quality_scores=st.none() | st.fixed_dictionaries({"coding": SCORES, "reasoning": SCORES}),
    benchmarks=st.none()
    | st.dictionaries(
        WORDS, st.fixed_dictionaries({"score": st.floats(-1, 1)}, optional={"source": WORDS | st.just("")}), max_size=2
    ),
    urls=st.none() | st.dictionaries(WORDS, st.sampled_from([None, "https://example.org/?a=1,2"]), max_size=2),
    tags=st.none() | st.lists(WORDS, max_size=3),
    requirements=st.none() | st.just({"min_vram_gb": 2, "cuda_compute_capability": "7.0"}),
    training_defaults=st.none() | st.builds(lambda h: {"hyperparameters": h, "lora_config": {"r": 16}}, JSON),
    released_on=st.none() | st.dates(),
)


def snapshot_with(columns: dict[str, Any], card: dict[str, Any]) -> Snapshot:
    provider = {"id": "p", "name": "local", "type": "vllm", "api_base": "http://h/v1"}
    model = {"id": "m", "provider_id": "p", "name": "name", "model_id": "org/id", "card": card, **columns}
    tables = {"model_providers": [provider], "models": [model]}
    return Snapshot.from_document({"registry_id": "r", "revision": 1, "tables": tables})


def views(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [model_view(snapshot, model) for model in snapshot.models]


def facts(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [{f: row[f] for f in IMPORTED_FIELDS if row[f] not in EMPTY} for row in views(snapshot)]


@given(CARDS, st.none() | st.text(PRINTABLE, max_size=9), st.lists(WORDS, max_size=3, unique=True))
def test_a_table_that_was_written_says_the_same_when_it_is_read(
    card: ModelCard, description: str | None, capabilities: list[str]
) -> None:
    columns = {"description": description, "capabilities": capabilities, "context_length": 4096, "status": "deprecated"}
    snapshot = snapshot_with(columns, known(card))
    offers = read_csv(write_csv(views(snapshot))).offers

    assert plan_offers(snapshot, offers, "csv", lambda: "new").operations == ()
    ids = count()
    made = plan_offers(Snapshot.empty(), offers, "csv", lambda: f"id{next(ids)}")
    copy = Snapshot.empty().preview(made.operations)
    assert facts(copy) == facts(snapshot)
    assert [(row["name"], row["model_id"], row["provider_name"], row["api_base"]) for row in views(copy)] == [
        ("name", "org/id", "local", "http://h/v1")
    ]


def test_a_table_of_people_is_read_as_they_write_it() -> None:
    (offer,) = read_csv(
        "\ufeffprovider,model_id, context_window,tags,requirements.min_vram_gb,notes\r\n"
        'openai,gpt-4o,128000,"small, recommended",,whatever\r\n'
    ).offers
    assert (offer.provider, offer.model_id) == ("openai", "gpt-4o")
    assert offer.fields == {"context_window": "128000", "tags": ["small", "recommended"]}


def test_rows_that_name_no_model_are_passed_over_with_their_number() -> None:
    reading = read_csv("provider,model_id,tags\nopenai,,x\n,m,x\nopenai,m\n")
    assert [offer.model_id for offer in reading.offers] == ["m"]
    assert [passed.name for passed in reading.passed_over] == ["row 2", "row 3"]
    assert [offer.provider for offer in read_csv("model_id\nm\n", "local").offers] == ["local"]


def test_a_column_and_columns_below_it_do_not_break_the_reader() -> None:
    (offer,) = read_csv("provider,model_id,urls,urls.docs\np,m,nonsense,https://example.org\n").offers
    assert offer.fields == {"urls": "nonsense"}


def test_further_prices_are_json_in_one_cell() -> None:
    prices = [{"of": "input_tokens", "per_million": "0.3", "above_input_tokens": 128_000}]
    model = {"provider_name": "p", "model_id": "m", "further_prices": prices, "price_factors": {"eu": "1.1"}}
    [offer] = read_csv(write_csv([model])).offers
    assert offer.fields == {"further_prices": prices, "price_factors": {"eu": "1.1"}}
