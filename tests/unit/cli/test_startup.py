"""Settings as the commands read them: what is wrong with them, in our words."""

from __future__ import annotations

import pytest

from model_registry.cli.startup import read_settings
from model_registry.errors import StorageMisconfigured


def test_a_setting_that_is_no_boolean_is_the_only_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address to listen on follows from it."""
    monkeypatch.delenv("MODEL_REGISTRY_HOST", raising=False)
    monkeypatch.setenv("DOCKED_MODE", "maybe")

    with pytest.raises(StorageMisconfigured) as refused:
        read_settings()

    assert refused.value.message == "Invalid settings: DOCKED_MODE: must be true or false"
