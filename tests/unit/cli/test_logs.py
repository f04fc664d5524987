"""No log line shows a secret: neither ours nor a library's, in either format."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
import structlog

from model_registry.cli.agents import configure_plain
from model_registry.cli.startup import configure
from support.secret_examples import HEX_KEY, PASSWORD, SHAPED

URL = f"https://user:{PASSWORD}@host.example/v1?api_key={HEX_KEY}"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_every_value_message_and_exception_is_masked(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format, "info")
    log, theirs = structlog.get_logger("ours"), logging.getLogger("uvicorn.error")

    log.info(
        "trouble", url=URL, deep={"a": [{"password": PASSWORD}]}, password=PASSWORD, node="gpu-a", key=SHAPED["jwt"]
    )
    theirs.warning("cannot reach %s with Authorization: Bearer %s", URL, SHAPED["openai"])
    theirs.error("nats://%s@host:4222 is away", SHAPED["groq"])
    log.error("unexpected", exc_info=httpx.ConnectError(f"cannot reach {URL}"))

    written = capsys.readouterr().err
    for secret in (PASSWORD, HEX_KEY, SHAPED["jwt"], SHAPED["openai"], SHAPED["groq"]):
        assert secret not in written
        assert secret[-10:] not in written
    assert written.count("host.example") >= 3
    assert "gpu-a" in written
    assert "ConnectError" in written
    if log_format == "json":
        assert all(json.loads(line)["level"] for line in written.splitlines())


def test_the_agents_lines_are_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers = []
    configure_plain()

    logging.getLogger("agent").error("no answer from %s", URL, exc_info=httpx.ConnectError(f"of {URL}"))

    written = capsys.readouterr().err
    assert written.count("host.example") == 2
    assert PASSWORD not in written
    assert HEX_KEY not in written
