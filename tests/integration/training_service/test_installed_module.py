"""A module that is not ours is asked in a process of its own, whatever it does there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_registry.errors import SourceUnreadable
from model_registry.installed_module import call_module


def module(directory: Path, text: str, name: str = "theirs") -> str:
    path = directory / f"{name}.py"
    path.write_text(text)
    return str(path)


def test_a_module_called_like_our_own_package_is_asked(tmp_path: Path) -> None:
    text = "print('loading')\ndef get_all_models():\n    print('asked')\n    return [{'name': 'a', 'tags': ('x',)}]\n"

    assert call_module(module(tmp_path, text, "model_registry")) == [{"name": "a", "tags": ["x"]}]
    assert call_module("platform", "python_implementation") == "CPython"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import os; os._exit(7)", "it ended with 7"),
        ("", "has no attribute 'get_all_models'"),
        ("def get_all_models(): return {1, 2}", "set is not JSON serializable"),
        ("def get_all_models():\n    import time\n    time.sleep(60)", "did not answer within 0.5 s"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceUnreadable, match=message):
        call_module(module(tmp_path, text), seconds=0.5 if "sleep" in text else 60)


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="There is no module"):
        call_module(str(tmp_path / "gone.py"))
    with pytest.raises(SourceUnreadable, match="No module named 'nowhere'"):
        call_module("nowhere")
