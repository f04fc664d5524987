"""The catalogue as a document: what goes in comes out, nothing twice, and nothing that is unknown gets lost."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from model_registry.entities.document import document_schema
from model_registry.errors import InvalidModel
from model_registry.garden.document import exported, read_document
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.documents import DOCUMENTS, Json, garden, imported, plan

TINY = "unsloth/tinyllama-bnb-4bit"


def without_time(document: Json) -> Json:
    return {key: value for key, value in document.items() if key not in ("last_updated", "$schema")}


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(document_schema())


@given(DOCUMENTS)
def test_what_is_imported_comes_out_as_it_was(document: Json) -> None:
    after = imported(document)

    out = exported(after)

    assert without_time(out) == without_time(document)
    assert plan(document, after).operations == (), "a second import has nothing to do"
    assert plan(out, after).operations == ()
    validator().validate(out)


def test_a_real_document_comes_in_and_out() -> None:
    after = imported(garden())

    assert without_time(exported(after)) == without_time(garden())
    assert {(p.name, p.type) for p in after.providers} == {
        ("unsloth", "custom"),
        ("qwen", "custom"),
        ("acme", "custom"),
    }
    tiny = after.models.where("name", TINY)[0]
    assert (tiny.status, tiny.model_type, tiny.model_id) == ("active", "chat", TINY)
    assert tiny.capabilities == ["training", "inference", "structured_outputs", "streaming"]
    assert tiny.card["display_name"] == "TinyLlama 1.1B (4-bit)"


def catalogue_of_our_own() -> Snapshot:
    """Everything that Model Garden has no word for."""
    catalogue = Catalogue()
    lab, cloud = catalogue.provider("lab"), catalogue.provider("cloud", "openai", api_key_env_var="OPENAI_API_KEY")
    catalogue.provider("idle", "custom")
    own = catalogue.model(lab, "qwen", model_id="qwen3:8b", capabilities=["chat", "function_calling", "json_mode"])
    catalogue.model(cloud, "qwen", model_id="qwen3:8b", routing_priority=2, active=False)
    catalogue.model(
        lab, "loud", model_id="qwen3:8b", model_type="vl", tensorzero={"provider_key": "x"}, status="disabled"
    )
    catalogue.model(lab, "n" * 300, model_id="long", metadata={"a": {"b": 1.0}}, vram_mb=0, context_length=0)
    catalogue.alias(own, "best")
    catalogue.alias(own, "best", "agents")
    return catalogue.snapshot()


def test_our_own_catalogue_is_whole_in_another_registry() -> None:
    ours = catalogue_of_our_own()
    document = exported(ours)
    validator().validate(document)

    theirs = imported(document)

    assert set(document["models"]) == {"lab/qwen", "cloud/qwen", "loud", "long"}
    for table in ("model_providers", "models", "model_aliases"):
        mine = sorted(json.dumps(described(ours, row), sort_keys=True) for row in ours.tables[table])
        assert sorted(json.dumps(described(theirs, row), sort_keys=True) for row in theirs.tables[table]) == mine
    assert plan(document, ours).operations == ()


def described(snapshot: Snapshot, row: Any) -> Json:
    """A row with names for ids."""
    columns: Json = row.model_dump(exclude={"id", "version", "created_at", "updated_at", "provider_id"})
    if "provider_id" in type(row).model_fields:
        columns["provider"] = snapshot.providers[row.provider_id].name
    elif "alias" in columns:
        columns["model_id"] = described(snapshot, snapshot.models[row.model_id])
    return columns


def test_what_a_document_leaves_out_stays() -> None:
    before = imported(garden())
    priced = imported(
        {**garden(), "models": {TINY: garden()["models"][TINY] | {"cost_per_1m_input_tokens": 2.0}}}, before
    )
    sparse = {
        "id": TINY,
        "name": "Tiny",
        "provider": "unsloth",
        "status": "deprecated",
        "capabilities": {"vision": True},
    }

    after = imported({"version": "1.2.0", "models": {TINY: sparse}}, priced)

    row = after.models.where("name", TINY)[0]
    assert (row.status, row.card["display_name"], row.card["cost_per_1m_input_tokens"]) == ("deprecated", "Tiny", 2.0)
    assert row.capabilities == ["vision"], "a flag that is not there is false"
    assert len(after.models) == len(before.models)


def test_flags_decide_about_their_own_tags_and_leave_the_others() -> None:
    catalogue = Catalogue()
    catalogue.model(
        catalogue.provider("unsloth", "custom"), "t", model_id=TINY, capabilities=["chat", "vision", "tools"]
    )

    after = imported(garden(), catalogue.snapshot())

    row = after.models.where("name", "t")[0]
    assert row.capabilities == ["chat", "training", "inference", "structured_outputs", "streaming"]
    assert after.models.where("name", TINY) == [], "found by what its provider calls it"


def test_keys_that_nobody_knows_are_kept_where_they_stood_or_reported() -> None:
    document = copy.deepcopy(garden())
    document["maintainer"] = "somebody"
    document["categories"]["text-llm"]["colour"] = "red"
    model = document["models"][TINY]
    model["x_score"] = [1, {"deep": None}]
    model["requirements"]["min_disk_gb"] = 20
    model["training_defaults"]["selective_loss"] = {"supported": False, "weights": {"a": 2.5}}

    done = plan(document, Snapshot.empty())
    after = imported(document)

    assert [e.name for e in done.report if e.action == "ignored"] == ["categories.text-llm.colour", "maintainer"]
    assert exported(after)["models"] == document["models"]
    assert after.models.where("name", TINY)[0].metadata == {
        "models_registry.json": {
            "x_score": [1, {"deep": None}],
            "requirements": {"min_disk_gb": 20},
            "training_defaults": {"selective_loss": {"weights": {"a": 2.5}}},
        }
    }


def test_a_price_that_an_importer_filled_in_becomes_the_documents() -> None:
    catalogue = Catalogue()
    catalogue.model(
        catalogue.provider("unsloth", "custom"), TINY, model_id=TINY, vram_mb=3, field_sources={"vram_mb": "ollama"}
    )
    before = catalogue.snapshot()
    entry = garden()["models"][TINY]

    by_us = imported({**garden(), "models": {TINY: entry | {"vram_mb": 4}}}, before)
    told = imported({**garden(), "models": {TINY: entry | {"vram_mb": 4, "field_sources": {"vram_mb": "lab"}}}}, before)

    assert by_us.models.where("name", TINY)[0].field_sources == {}
    assert told.models.where("name", TINY)[0].field_sources == {"vram_mb": "lab"}


BROKEN: list[tuple[tuple[str, ...], Any]] = [
    (("version",), "2.0.0"),
    (("version",), None),
    (("models",), []),
    (("categories", "text-llm"), {"description": "no name"}),
    (("categories", "text-llm", "name"), ""),
    (("providers",), {"lab": {"type": "nobody"}}),
    (("models", TINY, "name"), None),
    (("models", TINY, "provider"), 7),
    (("models", TINY, "status"), "brand new"),
    (("models", TINY, "parameters"), "many"),
    (("models", TINY, "tags"), "recommended"),
    (("models", TINY, "capabilities", "training"), "yes"),
    (("models", TINY, "capabilities", "juggling"), 3),
    (("models", TINY, "requirements", "min_vram_gb"), -1),
    (("models", TINY, "requirements", "min_vram_gb"), "4"),
    (("models", TINY, "requirements", "cuda_compute_capability"), "seven"),
    (("models", TINY, "quantization", "method"), "3bit"),
    (("models", TINY, "inference_defaults", "gpu_memory_utilization"), 1.5),
    (("models", TINY, "inference_defaults", "dtype"), "int3"),
    (("models", TINY, "training_defaults", "hyperparameters"), "usual"),
    (("models", TINY, "quality_scores"), {"coding": 2}),
    (("models", TINY, "max_output_tokens"), 0),
    (("models", TINY, "aliases"), [{"name": "not alias"}]),
]


@pytest.mark.parametrize(("path", "value"), BROKEN, ids=lambda v: ".".join(v) if isinstance(v, tuple) else str(v))
def test_the_schema_and_the_import_refuse_the_same_documents(path: tuple[str, ...], value: Any) -> None:
    document = copy.deepcopy(garden())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    assert not validator().is_valid(document)
    with pytest.raises(InvalidModel) as caught:
        read_document(json.dumps(document))
    assert any(reason.where.startswith(".".join(path)) for reason in caught.value.reasons), caught.value.reasons


def test_the_schema_accepts_a_real_document() -> None:
    jsonschema.Draft202012Validator.check_schema(document_schema())
    validator().validate(garden())


def test_the_schema_knows_every_field_that_is_written() -> None:
    known = set(document_schema()["$defs"]["DocumentModel"]["properties"])
    ours = exported(catalogue_of_our_own())["models"].values()

    assert {key for entry in ours for key in entry} <= known


def test_every_place_that_is_wrong_is_named_at_once() -> None:
    document = copy.deepcopy(garden())
    tiny, llama = (document["models"][key] for key in (TINY, "unsloth/llama-3-8b-bnb-4bit"))
    tiny |= {"category": "cars", "replaced_by": "nobody", "aliases": [{"alias": "a"}]}
    llama |= {"registry_name": TINY, "aliases": [{"alias": "a"}]}

    with pytest.raises(InvalidModel) as caught:
        plan(document, Snapshot.empty())

    assert [reason.where for reason in caught.value.reasons] == [
        f"models.{TINY}.category",
        f"models.{TINY}.replaced_by",
        "models.unsloth/llama-3-8b-bnb-4bit",
        "models.unsloth/llama-3-8b-bnb-4bit.aliases",
    ]


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"version": "1.0.0", "models": {"a": {}}}', '{"x": NaN}'])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidModel):
        read_document(text)


def test_an_id_must_be_the_key_it_stands_under() -> None:
    document = garden()
    document["models"]["other"] = document["models"].pop(TINY)

    with pytest.raises(InvalidModel, match=r"models\.other\.id"):
        read_document(json.dumps(document))


def test_numbers_come_out_as_they_are_in_a_configuration() -> None:
    document = garden()
    document["models"][TINY]["metadata"] = {"a": 1, "b": 1.0, "c": True}

    out = exported(imported(document))["models"][TINY]["metadata"]

    assert same(out, {"a": 1, "b": 1.0, "c": True})


def test_the_documents_order_is_the_lists_also_after_it_changed() -> None:
    document = garden()
    models: Json = document["models"]
    before = imported(document)
    turned = dict(reversed(models.items()))
    inserted = {**dict(list(turned.items())[:2]), "aaa/new": turned[TINY] | {"id": "aaa/new"}, **turned}

    for order in (turned, inserted, models):
        after = imported(document | {"models": order}, before)
        again = plan(document | {"models": order}, after)

        assert [key for key in exported(after)["models"] if key in order] == list(order)
        assert again.operations == (), "the same order is no change"
        assert exported(after)["models"][TINY] == models[TINY], "the order is no fact of a model"
        before = after
