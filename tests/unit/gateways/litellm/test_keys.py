"""What stands in the place of an API key: a variable, a word for none, or the key itself."""

from __future__ import annotations

import pytest

from model_registry.gateways.litellm.keys import is_literal_key, is_no_key, key_variable

NONE = (
    *("none", "None", "NONE", "EMPTY", "empty", "dummy", "DUMMY", "", " ", "null", "na", "n/a", "no", "x", "xxxx"),
    *("fake", "fake-key", "fake-api-key", "dummy-key", "dummy_key", "no-key", "nokey", "not-needed", "notneeded"),
    *("not-required", "no-key-required", "sk-no-key-required", "sk-not-needed", "sk-dummy", "sk-fake", "sk-xxxx"),
    *("placeholder", "unused", "anything", "ollama", "lm-studio", "sk-none", "no-api-key", "empty-key"),
)
VARIABLES = {"os.environ/OPENAI_API_KEY": "OPENAI_API_KEY", "${KEY_1}": "KEY_1", "$KEY": "KEY"}
LITERAL = (
    "sk-1234",
    "abc",
    "your-api-key",
    "<your key>",
    "hunter2",
    "local",
    "fakes-are-keys",
    "nonesuch",
    "sk-proj-x1y2",
)


@pytest.mark.parametrize("word", NONE)
def test_words_for_no_key(word: str) -> None:
    assert is_no_key(word)
    assert key_variable(word) is None
    assert not is_literal_key(word)


@pytest.mark.parametrize("text", VARIABLES)
def test_variables(text: str) -> None:
    assert key_variable(text) == VARIABLES[text]
    assert not is_no_key(text)
    assert not is_literal_key(text)


@pytest.mark.parametrize("text", LITERAL)
def test_anything_else_is_a_key(text: str) -> None:
    assert is_literal_key(text)
    assert not is_no_key(text)
    assert key_variable(text) is None


def test_what_is_no_text_is_none_of_these() -> None:
    for value in (None, 5, True, ["sk-1234"]):
        assert not is_literal_key(value)
        assert not is_no_key(value)
        assert key_variable(value) is None
