"""What a source may be: its address by kind, its name, and the variable with its key."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.source import KINDS, SourceDraft, SourceKind, variable_problem


def faults(**fields: object) -> set[str]:
    try:
        SourceDraft.model_validate({"name": "s", **fields})
    except ValidationError as error:
        return {reason.where for reason in reasons_of(error)}
    return set()


def test_every_kind_has_its_facts() -> None:
    assert set(get_args(SourceKind)) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "address", "fits"),
    [
        ("ollama", "http://gpu-1:11434", True),
        ("ollama", None, False),
        ("ollama", "gpu-1:11434", False),
        ("ollama", "file:///etc/passwd", False),
        ("openai", "https://user@host/v1", False),
        ("openai", "https://@host/v1", False),
        ("ollama", "http://gpu-1:99999", False),
        ("ollama", "http://gpu-1:0", False),
        ("ollama", "http://gpu-1:port", False),
        ("ollama", "http://[::1", False),
        ("ollama", "http://gpu-1/\x01", False),
        ("ollama", "http://[::1]:11434", True),
        ("ollama", "http://gpu-1:65535/", True),
        ("openai", "https://host/v1?at=@", True),
        ("litellm_prices", None, True),
        ("huggingface", "https://hub.example.com", True),
        ("file", "models/timm.json", True),
        ("file", "../secrets.json", False),
        ("directory", "models/..", False),
        ("directory", "/srv/models", False),
        ("directory", "a//b", False),
        ("module", None, True),
        ("module", "os", False),
    ],
)
def test_an_address_fits_its_kind(kind: str, address: str | None, fits: bool) -> None:  # noqa: FBT001 (a case)
    assert (faults(kind=kind, address=address) == set()) is fits


def test_a_name_is_no_word_of_field_sources() -> None:
    assert faults(kind="module", name="hand") == {"name"}
    assert faults(kind="module", name="gpu (estimate)") == {"name"}


def test_the_registrys_own_variables_are_sent_to_no_source() -> None:
    assert "of the registry itself" in (variable_problem("MAX_RETRIES") or "")
    assert variable_problem("GROQ_API_KEY") is None
    assert variable_problem("no name") is not None
