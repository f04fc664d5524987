"""`model-registry node run`: mistakes are reported before anything is done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_registry.cli import app

NODE = ("node", "run", "--node-id", "gpu-1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no server to watch: set at least one"),
        (["--ollama", "127.0.0.1:1"], "unless --once is set"),
        (["--ollama", "ftp://a"], "must be http://host"),
        (["--ollama", "a", "--openai", "b", "--endpoint", "http://c"], "applies to a single server"),
        (["--ollama", "a", "--host", "http://b", "--once"], "without scheme and port"),
        (["--ollama", "a", "--host", "b:11434", "--once"], "without scheme and port"),
        (["--ollama", "a", "--host", "b/v1", "--once"], "without scheme and port"),
        (["--ollama", "a", "--host", "", "--once"], "without scheme and port"),
        (["--ollama", "0.0.0.0:11434", "--once"], "set --host"),
        (["--ollama", "0:11434", "--once"], "set --host"),
        (["--openai", "http://[::]:8000/v1", "--once"], "set --host"),
        (["--ollama", "a", "--host", "::", "--once"], "set --host"),
        (["--ollama", "a", "--endpoint", "http://[::]:1", "--once"], "set --host"),
        (["--ollama", "a", "--nats", "nats://s3cr3t/@b"], "percent-encoded"),
        (["--ollama", "a", "--node-id", "", "--once"], "1 to 200 printable characters"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, [*NODE, *arguments], env={"COLUMNS": "200", "TERM": "dumb"})

    assert done.exit_code == 2
    assert words in re.sub(r"\s*│\s*", " ", done.stderr)
    assert "s3cr3t" not in done.stderr


def test_files_that_cannot_be_used_are_an_error_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "creds").write_text("s3cr3t")
    monkeypatch.setenv("NATS_CREDS", str(tmp_path / "creds"))
    done = CliRunner().invoke(app, [*NODE, "--ollama", "a", "--nats", "b"], env={"COLUMNS": "200", "TERM": "dumb"})

    assert done.exit_code == 2
    assert "is not a credentials file" in done.stderr
    assert "s3cr3t" not in done.stderr
