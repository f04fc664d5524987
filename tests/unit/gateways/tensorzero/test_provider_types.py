"""The table of provider types by itself. tests/acceptance compares it with the gateway."""

from __future__ import annotations

import pytest

from model_registry.entities.provider import ProviderDraft
from model_registry.entities.provider_types import (
    GATEWAY_TYPES,
    PROVIDER_TYPES,
    RESERVED_PREFIXES,
    has_reserved_prefix,
    is_shorthand,
)


def test_every_type_that_may_be_written_is_in_the_table() -> None:
    assert ProviderDraft.model_json_schema()["properties"]["type"]["enum"] == list(PROVIDER_TYPES)
    assert len(GATEWAY_TYPES) == 19


@pytest.mark.parametrize("name", ["openai_compatible", "ollama"])
def test_our_own_types_are_the_gateways_openai_at_an_address(name: str) -> None:
    kind = PROVIDER_TYPES[name]
    assert (kind.gateway_type, kind.base_key, kind.base_required, kind.shorthand) == ("openai", "api_base", True, False)


def test_custom_providers_are_nothing_to_the_gateway() -> None:
    assert PROVIDER_TYPES["custom"].gateway_type is None


@pytest.mark.parametrize("kind", GATEWAY_TYPES.values(), ids=lambda kind: kind.name)
def test_required_keys_are_keys_of_the_type(kind: object) -> None:
    assert set(kind.required_keys) <= kind.own_keys  # type: ignore[attr-defined] # a ProviderType


@pytest.mark.parametrize(
    ("name", "shorthand"),
    [
        ("openai::gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openai::responses::gpt-5", ("openai", "responses::gpt-5")),
        ("groq::", ("groq", "")),
        ("vllm::x", None),
        ("ollama::x", None),
        ("Openai::x", None),
        ("openai:x", None),
        ("openai", None),
    ],
)
def test_shorthands_are_those_that_the_gateway_understands(name: str, shorthand: tuple[str, str] | None) -> None:
    assert is_shorthand(name) == shorthand


def test_reserved_prefixes_are_the_gateways_types_and_its_own_name() -> None:
    assert len(RESERVED_PREFIXES) == 20
    assert has_reserved_prefix("tensorzero::x")
    assert has_reserved_prefix("vllm::x")
    assert not has_reserved_prefix("ollama::x")
    assert not has_reserved_prefix("dummy::x")
