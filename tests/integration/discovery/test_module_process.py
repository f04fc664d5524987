"""A module that is asked for its models, in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from model_registry.discovery.module_process import ask_module, split_setting
from model_registry.errors import SourceUnreadable
from support.waiting import until


def module(directory: Path, text: str, name: str = "their_models") -> str:
    (directory / f"{name}.py").write_text(text)
    return f"{directory}:{name}"


async def test_it_answers_what_the_function_returns_whatever_it_prints(tmp_path: Path) -> None:
    setting = module(tmp_path, "print('hello')\ndef get_all_models(): print('there'); return [{'model_name': 'm'}]")
    assert await ask_module(setting) == [{"model_name": "m"}]


async def test_another_programs_code_may_have_our_name(tmp_path: Path) -> None:
    setting = module(tmp_path, "def get_all_models(): return {'timm': {}}", "model_registry")
    assert await ask_module(setting) == {"timm": {}}
    with pytest.raises(SourceUnreadable, match="this service itself"):
        split_setting("model_registry")
    with pytest.raises(SourceUnreadable, match="is not set"):
        split_setting(None)


async def test_it_has_none_of_the_services_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGREST_KEY", "of the database")
    setting = module(tmp_path, "import os\ndef get_all_models(): return dict(os.environ)")
    answer = await ask_module(setting)
    assert isinstance(answer, dict)
    assert "of the database" not in answer.values()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def get_all_models(): raise ValueError('no models today')", "no models today"),
        ("import no_such_thing", "no_such_thing"),
        ("x = 1", "get_all_models"),
        ("import os\ndef get_all_models(): os._exit(3)", "exit code 3"),
        ("def get_all_models(): return 'x' * 20_000_000", "more than 16 MB"),
        ("import os\ndef get_all_models(): os.write(1, b'{'); os._exit(0)", "not JSON"),
    ],
)
async def test_what_goes_wrong_is_named(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(SourceUnreadable, match=error):
        await ask_module(module(tmp_path, text))


async def test_one_that_hangs_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    write = f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))"
    text = f"import os, time, pathlib\ndef get_all_models():\n  {write}\n  time.sleep(600)"
    asking = asyncio.create_task(ask_module(module(tmp_path, text)))

    async def started() -> int:
        return int(mark.read_text() or 0) if mark.exists() else 0

    pid = await until(started)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert not psutil.pid_exists(pid)
