"""What the process of the check answers, however much somebody wrote."""

from __future__ import annotations

from model_registry.errors import Reason
from model_registry.gateways.litellm.validation.parts import Reader
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
