"""A module that is not ours is asked in a process of its own, whatever it does there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_registry.errors import SourceUnreadable
from model_registry.installed_module import ask_module
from model_registry.training_service.models import of_module


def module(directory: Path, text: str, name: str = "theirs") -> str:
    (directory / f"{name}.py").write_text(text)
    return f"{directory}:{name}"


async def test_a_module_called_like_our_own_package_is_asked(tmp_path: Path) -> None:
    text = "print('loading')\ndef get_all_models():\n    print('asked')\n    return [{'name': 'a', 'tags': ('x',)}]\n"

    assert await ask_module(module(tmp_path, text, "model_registry")) == [{"name": "a", "tags": ["x"]}]


def test_a_training_service_asks_it_too(tmp_path: Path) -> None:
    place = module(tmp_path, "def get_all_models(): return []")

    assert of_module(place) == {place: []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import os; os._exit(7)", "exit code 7"),
        ("", "has no attribute 'get_all_models'"),
        ("def get_all_models(): return {1, 2}", "fails: TypeError"),
    ],
)
async def test_what_goes_wrong_is_in_the_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceUnreadable, match=message):
        await ask_module(module(tmp_path, text))


@pytest.mark.parametrize(
    ("place", "message"), [("nowhere", "No module named"), ("model_registry", "this program itself")]
)
async def test_a_module_that_is_none_is_named(place: str, message: str) -> None:
    with pytest.raises(SourceUnreadable, match=message):
        await ask_module(place)


async def test_it_has_none_of_the_services_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGREST_KEY", "of the database")
    (tmp_path / "curious.py").write_text("import os\ndef get_all_models(): return dict(os.environ)")

    answer = await ask_module(f"{tmp_path}:curious")

    assert isinstance(answer, dict)
    assert "of the database" not in answer.values()
