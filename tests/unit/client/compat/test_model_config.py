"""The old in-memory registry's classes: what its router, and programs that log and store models, do with them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from model_registry.client import (
    ConfigurationError,
    ModelCapabilities,
    ModelCapability,
    ModelConfig,
    ModelRegistry,
    ModelStatus,
    ProvisionedThroughput,
    QualityScores,
)
from model_registry.client.compat.config_rows import config_of, fields_of
from model_registry.client.rows import CatalogModel
from model_registry.errors import InvalidModel, NotFound, RegistryError, StorageUnavailable, TooManyRequests

NUMBERS = (
    *("context_window", "max_output_tokens", "cost_per_1m_input_tokens", "cost_per_1m_output_tokens"),
    *("cost_per_1m_cached_input_tokens", "rate_limit_rpm", "rate_limit_tpm", "latency_p50_ms", "latency_p99_ms"),
)


def row(**fields: object) -> CatalogModel:
    plain = {"id": "1", "provider_id": "p", "provider_name": "lab", "name": "m", "model_id": "m"}
    return CatalogModel.model_validate(plain | fields)


def in_positions() -> ModelConfig:
    """The arguments in the old registry's order."""
    return ModelConfig("m", "lab", "M", ModelCapabilities(True, True), 8192, 4096, 1.0, 2.0, 0.5, 30, 9000, 400, 900)  # noqa: FBT003


def test_arguments_stand_in_the_old_order() -> None:
    config = in_positions()

    assert (config.capabilities.supports_vision, config.capabilities.supports_tool_use) == (True, True)
    assert [getattr(config, name) for name in NUMBERS] == [8192, 4096, 1.0, 2.0, 0.5, 30, 9000, 400, 900]
    assert (config.status, config.regions, config.metadata, config.pricing_last_updated) == ("active", [], {}, None)


def test_what_a_request_costs() -> None:
    config = in_positions()

    assert config.calculate_cost(1_000_000, 500_000) == pytest.approx(2.0)
    assert config.calculate_cost(1_000_000, 500_000, cached_tokens=1_000_000) == pytest.approx(2.5)
    assert config.get_effective_cost(1_000_000, 0) == pytest.approx(1.0)
    assert not config.has_provisioned_throughput()
    config.provisioned_throughput = ProvisionedThroughput(enabled=True, provisioned_units=3)
    assert config.has_provisioned_throughput()
    assert config.get_effective_cost(1_000_000, 0) == 0.0


def test_cached_tokens_without_a_price_of_their_own_are_not_free() -> None:
    config = ModelConfig("m", "lab", cost_per_1m_input_tokens=4.0, cost_per_1m_output_tokens=1.0)

    assert config.cost_per_1m_cached_input_tokens == 0.0
    assert config.calculate_cost(0, 0, cached_tokens=500_000) == pytest.approx(2.0)
    config.cost_per_1m_cached_input_tokens = 0.0
    assert config.calculate_cost(0, 0, cached_tokens=500_000) == 0.0, "free if it says so"


def test_a_model_streams_unless_it_says_otherwise() -> None:
    assert ModelCapabilities().capabilities_list == ["text", "streaming"]
    assert ModelConfig("m", "lab").supports_capability("streaming")
    silent = ModelCapabilities(supports_streaming=False)
    assert not silent.has_capability("streaming")
    assert config_of(row(capabilities=["chat"]), "m").supports_capability("streaming"), "a row that says nothing"
    assert not config_of(row(model_type="tts"), "m").supports_capability("streaming")
    for config in (ModelConfig("m", "lab", capabilities=silent), ModelConfig("m", "lab")):
        assert config_of(row(provider_type="custom", **fields_of(config)), "m") == config


def test_functions_are_tools_under_another_name() -> None:
    for capabilities in (
        ModelCapabilities(supports_tool_use=True),
        ModelCapabilities(supports_function_calling=True),
        ModelCapabilities(capabilities_list=["Function_Calling", "streaming"]),
    ):
        assert capabilities.has_capability("tool_use")
        assert capabilities.has_capability(ModelCapability.FUNCTION_CALLING)
        assert {"tool_use", "function_calling"} <= set(capabilities.capabilities_list)
        assert (capabilities.supports_tool_use, capabilities.supports_function_calling) == (True, True)
        assert ModelConfig("m", "lab", capabilities=capabilities).supports_function_calling


def test_a_list_of_names_is_the_whole_list() -> None:
    capabilities = ModelCapabilities(capabilities_list=["text", "code_execution", "reasoning"])

    assert capabilities.capabilities_list == ["text", "code_execution", "reasoning"]
    assert (capabilities.supports_code_execution, capabilities.supports_streaming) == (True, False)
    assert ModelConfig("m", "lab", capabilities=capabilities).supports_code_execution
    assert not capabilities.has_capability("nonexistent")


@pytest.mark.parametrize("made", ["in memory", "from a row"])
def test_no_number_is_none(made: str) -> None:
    config = ModelConfig("m", "lab") if made == "in memory" else config_of(row(provider_type="openai"), "m")

    assert all(isinstance(getattr(config, name), int | float) for name in NUMBERS)
    assert config.quality_scores.to_dict() == dict.fromkeys(QualityScores().to_dict(), 0.0)
    json.dumps(config.to_dict(), allow_nan=False)
    config.latency_p50_ms = None  # type: ignore[assignment]
    assert config.latency_p50_ms == 1000


def test_an_unknown_price_comes_last_and_a_server_of_ones_own_costs_nothing() -> None:
    hosted, local = config_of(row(provider_type="openai"), "a"), config_of(row(provider_type="ollama"), "b")
    priced = config_of(row(cost_per_1m_input_tokens=75.0, cost_per_1m_output_tokens=150.0), "c")

    ranked = sorted([hosted, local, priced], key=lambda config: config.calculate_cost(1000, 1000))

    assert ranked == [local, priced, hosted]
    assert ModelConfig("m", "ollama").calculate_cost(1000, 1000) == 0.0


def test_an_unknown_context_fits_no_request() -> None:
    assert [config for config in (ModelConfig("m", "lab"), in_positions()) if config.context_window >= 1] == [
        in_positions()
    ]


@pytest.mark.parametrize("seen", ["new", "copied", "read"])
def test_assumed_numbers_are_never_written(seen: str) -> None:
    config = ModelConfig("m", "lab")
    if seen == "copied":
        config = copy.deepcopy(config)
    if seen == "read":
        config = config_of(row(provider_type="openai"), "m")

    fields = fields_of(config)

    assert [fields[name] for name in NUMBERS] == [None] * len(NUMBERS)
    assert fields["quality_scores"] is None
    known = ModelConfig("m", "lab", latency_p50_ms=1000, quality_scores=QualityScores(coding=0.0))
    assert (fields_of(known)["latency_p50_ms"], fields_of(known)["quality_scores"]) == (1000, {"coding": 0.0})


def test_what_a_row_has_no_column_for_is_in_its_metadata() -> None:
    config = in_positions()
    config.regions, config.metadata = ["eu", "us"], {"team": "search"}
    config.provisioned_throughput = ProvisionedThroughput(enabled=True, unit_cost_per_hour=2.5)
    config.pricing_last_updated = datetime(2026, 1, 2, tzinfo=UTC)

    fields = fields_of(config)

    assert fields["metadata"] == {
        "team": "search",
        "regions": ["eu", "us"],
        "provisioned_throughput": {"enabled": True, "unit_cost_per_hour": 2.5},
        "pricing_last_updated": "2026-01-02T00:00:00+00:00",
    }
    assert config_of(row(provider_type="custom", **fields), "m") == config
    strange = {"regions": "eu", "provisioned_throughput": {"units": 1}, "pricing_last_updated": 5}
    read = config_of(row(metadata=strange), "m")
    assert (read.metadata, read.regions, read.has_provisioned_throughput()) == (strange, [], False)


def test_a_model_as_json() -> None:
    config = in_positions()
    config.pricing_last_updated = datetime(2026, 1, 2, tzinfo=UTC)

    written = json.loads(json.dumps(config.to_dict()))

    assert (written["model_id"], written["status"], written["regions"]) == ("m", "active", [])
    assert written["capabilities"]["capabilities_list"] == config.capabilities_list
    assert written["capabilities"]["supports_function_calling"] is True
    assert written["provisioned_throughput"]["enabled"] is False
    assert written["pricing_last_updated"] == "2026-01-02T00:00:00+00:00"


class OldCode(Enum):
    """The enumeration that old programs bring along."""

    E4001_MODEL_NOT_FOUND = ("E4001",)
    E4003_INVALID_MODEL_CONFIG = ("E4003",)

    def __init__(self, code: str) -> None:
        self.code = code


def test_errors_have_the_old_code_and_say_whether_to_try_again() -> None:
    with pytest.raises(ConfigurationError) as missing:
        ModelRegistry().get_model_or_raise("nobody")
    code = missing.value.error_code

    old: object = OldCode.E4001_MODEL_NOT_FOUND
    assert {code, code.code, code.value, code.code_value} == {"E4001"}
    assert (code == old, old == code) == (True, True)
    assert (code != old, code == OldCode.E4003_INVALID_MODEL_CONFIG) == (False, False)
    assert missing.value.to_dict().items() >= {"error_code": "E4001", "retryable": False, "details": {}}.items()
    with pytest.raises(ConfigurationError) as invalid:
        ModelRegistry().register_model(model_id="", provider="lab")
    assert (invalid.value.error_code, invalid.value.retryable) == ("E4003", False)
    assert "model_id" in str(invalid.value.details["reasons"])


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [(RegistryError, False), (NotFound, False), (StorageUnavailable, True), (TooManyRequests, True)],
)
def test_what_may_be_tried_again(kind: type[RegistryError], *, retryable: bool) -> None:
    assert kind("x").retryable is retryable


def test_statuses_are_words() -> None:
    assert (ModelStatus.ACTIVE.value, ModelConfig("m", "lab").status) == ("active", ModelStatus.ACTIVE)


def test_a_model_is_made_of_its_own_json_again() -> None:
    model = ModelConfig(
        *("m", "openai"),
        capabilities=ModelCapabilities(supports_vision=True),
        quality_scores=QualityScores(0.5),
        provisioned_throughput=ProvisionedThroughput(enabled=True, provisioned_units=2),
        pricing_last_updated=datetime(2026, 1, 2, tzinfo=UTC),
        regions=["eu"],
    )

    again = ModelConfig(**json.loads(json.dumps(model.to_dict())))

    assert (again, again.to_dict()) == (model, model.to_dict())


@pytest.mark.parametrize(
    "fields",
    [
        {"capabilities": {"supports_sight": True}},
        {"capabilities": ["vision"]},
        {"pricing_last_updated": "yesterday"},
        {"provisioned_throughput": 7},
        {"regions": 5},
        {"metadata": []},
    ],
)
def test_fields_of_another_form_are_refused_as_every_bad_model_is(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        ModelRegistry().register_model(model_id="m", provider="openai", **fields)
