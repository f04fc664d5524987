"""What the process of the check answers, however much somebody wrote."""

from __future__ import annotations

import pytest

from model_registry.errors import Reason
from model_registry.gateways.litellm.validation.parts import Reader, Unreadable
from model_registry.gateways.litellm.validation.validator_child import bounded, validated

_LONG = "word " * 200_000


def test_aliases_of_one_long_text_make_no_long_answer() -> None:
    aliases = "".join(f"    a{number}: *s\n" for number in range(100))
    text = f's: &s "{_LONG}"\nrouter_settings:\n  model_group_alias:\n{aliases}'
    found = list(bounded(validated(text, Reader(), None)[0].warnings))
    assert "router_settings.model_group_alias.a99" in {reason.where for reason in found}
    assert sum(len(reason.where) + len(reason.message) for reason in found) < 150_000


def test_too_many_reasons_end_with_one_that_says_so() -> None:
    found = list(bounded(Reason(_LONG, _LONG) for _ in range(10_000)))
    assert sum(len(reason.where) + len(reason.message) for reason in found) < 2_100_000
    assert found[-1].message.startswith("there is more, which is not listed")
    few = [Reason("a", "b")] * 3
    assert list(bounded(few)) == few


@pytest.mark.parametrize("value", ["9" * 6000, "2026-99-99"])
def test_a_value_that_cannot_be_read_is_a_reason_and_no_crash(value: str) -> None:
    text = f"model_list:\n- model_name: x\n  litellm_params: {{model: openai/x, rpm: {value}}}\n"
    with pytest.raises(Unreadable, match="holds a value that cannot be read"):
        Reader().read(text)
