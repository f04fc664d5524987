"""The header `Prefer`, as RFC 7240 writes it."""

from __future__ import annotations

import pytest

from model_registry.api.preferences import Preferences, read_preferences


@pytest.mark.parametrize(
    ("values", "preferences"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async, wait=10"], Preferences(respond_async=True, wait=10)),
        (["return=minimal", 'respond-async; foo=1, wait="7"'], Preferences(respond_async=True, wait=7)),
        (["wait=100000"], Preferences(wait=600)),
        (["respond-asyncly, wait=soon"], Preferences()),
        (["wait=1, wait=2"], Preferences(wait=1)),
        (['\u00e9=,;;=,"', "respond-async"], Preferences(respond_async=True)),
    ],
)
def test_preferences_are_read(values: list[str], preferences: Preferences) -> None:
    headers = [(b"prefer", value.encode("latin-1")) for value in values]

    assert read_preferences([(b"accept", b"*/*"), *headers]) == preferences


def test_what_was_applied_is_answered() -> None:
    assert Preferences(respond_async=True).applied == "respond-async"
    assert Preferences(respond_async=True, wait=10).applied == "respond-async, wait=10"
