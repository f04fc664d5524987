"""Keys of providers come from the variables that rows name; the registry's own stay where they are."""

from __future__ import annotations

import pytest

from model_registry.services.dispatch.provider_keys import ProviderKeys

KEY = "sk-not-a-real-key"


def test_a_variable_that_is_set_gives_its_value() -> None:
    keys = ProviderKeys({"OPENAI_API_KEY": KEY})

    assert keys.fault("OPENAI_API_KEY") is None
    assert keys.value("OPENAI_API_KEY") == KEY


def test_a_line_break_at_its_end_as_files_have_does_not_count() -> None:
    keys = ProviderKeys({"OPENAI_API_KEY": f"{KEY}\n"})

    assert keys.fault("OPENAI_API_KEY") is None
    assert keys.value("OPENAI_API_KEY") == KEY


@pytest.mark.parametrize(
    "value", ["", " \n", f"{KEY}\r\nX-Evil: 1", f"{KEY} {KEY}", "k\x00y", "schlüssel", "k" * 20_000]
)
def test_what_no_header_may_have_is_no_key_and_is_not_repeated(value: str) -> None:
    keys = ProviderKeys({"OPENAI_API_KEY": value})
    fault = keys.fault("OPENAI_API_KEY")

    assert keys.value("OPENAI_API_KEY") is None
    assert fault
    assert "OPENAI_API_KEY" in fault
    assert value.strip() == "" or value not in fault


def test_a_missing_one_says_where_it_is_missing() -> None:
    assert ProviderKeys({}).fault("GROQ_API_KEY") == "GROQ_API_KEY is not set where the registry runs"


def test_no_variable_of_the_registrys_own_is_sent_to_anybody() -> None:
    keys = ProviderKeys({"postgrest_key": KEY, "AWS_SESSION_TOKEN": KEY})

    assert "the registry's own" in (keys.fault("postgrest_key") or "")
    assert "the registry's own" in (keys.fault("AWS_SESSION_TOKEN") or "")
