"""The registry's own variables: all that it reads, so that no row can have one of them sent away."""

from __future__ import annotations

import pytest
from pydantic import AliasChoices

from model_registry.entities.own_variables import is_own
from model_registry.settings import Settings


def test_every_variable_that_the_service_reads_is_its_own() -> None:
    names: set[object] = set()
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        names |= set(alias.choices) if isinstance(alias, AliasChoices) else {alias}

    assert len(names) > 50
    assert {name for name in names if not is_own(str(name))} == set()


@pytest.mark.parametrize("name", ["PGPASSWORD", "PGRST_JWT_SECRET", "POSTGRES_PASSWORD", "nats_token", "NATS_X\n"])
def test_so_is_what_it_runs_on_in_any_case(name: str) -> None:
    assert is_own(name)


@pytest.mark.parametrize("name", ["GROQ_API_KEY", "MY_DATABASE_URL", "RETRY_DELAYS", "HUGGINGFACE_TOKEN"])
def test_the_keys_of_others_are_not(name: str) -> None:
    assert not is_own(name)
