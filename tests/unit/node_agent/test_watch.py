"""The state derived from a model server's responses and timeouts."""

from __future__ import annotations

import logging

import pytest

from model_registry.node_agent.messages import Listed
from model_registry.node_agent.model_server import LoadedModel, NoAnswer, Ollama
from model_registry.node_agent.watch import PATIENCE, Watch

QWEN = LoadedModel("ollama", "qwen3:8b", 6144)
GEMMA = LoadedModel("ollama", "gemma3:12b", 8192)
DOWN = NoAnswer("cannot connect", down=True)
SLOW = NoAnswer("no answer within 2 s")


@pytest.fixture
def watch() -> Watch:
    return Watch(Ollama("http://127.0.0.1:11434"), "http://gpu-1:11434/v1")


def states(watch: Watch) -> dict[str, str]:
    return {listed.model.model_id: listed.state for listed in watch.models.values()}


def test_what_it_lists_is_loaded_and_what_it_no_longer_lists_is_gone(watch: Watch) -> None:
    watch.answered([QWEN, GEMMA], 1.0)
    assert states(watch) == {"qwen3:8b": "loaded", "gemma3:12b": "loaded"}

    watch.answered([GEMMA], 2.0)

    assert list(watch.models.values()) == [Listed(GEMMA, "http://gpu-1:11434/v1", since=1.0)]


def test_models_of_a_server_that_is_down_are_in_error_at_once(watch: Watch) -> None:
    watch.answered([QWEN], 1.0)

    watch.missed(DOWN)

    (listed,) = watch.models.values()
    assert (listed.state, listed.error) == ("error", "Ollama does not answer: cannot connect")


def test_a_busy_server_is_waited_for(watch: Watch) -> None:
    watch.answered([QWEN], 1.0)
    for _ in range(PATIENCE - 1):
        watch.missed(SLOW)
    assert states(watch) == {"qwen3:8b": "loaded"}
    watch.answered([QWEN], 2.0)
    for _ in range(PATIENCE - 1):
        watch.missed(SLOW)
    assert states(watch) == {"qwen3:8b": "loaded"}

    watch.missed(SLOW)

    assert states(watch) == {"qwen3:8b": "error"}


def test_the_reason_stays_what_it_was_so_that_the_status_message_stays_the_same(watch: Watch) -> None:
    watch.answered([QWEN], 1.0)
    watch.missed(DOWN)
    before = dict(watch.models)

    watch.missed(SLOW)

    assert watch.models == before


def test_a_server_that_is_back_is_believed_at_once(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch.answered([QWEN, GEMMA], 1.0)
    watch.missed(DOWN)

    watch.answered([GEMMA], 5.0)

    assert states(watch) == {"gemma3:12b": "loaded"}
    assert [record.message for record in caplog.records] == [
        "Ollama at http://127.0.0.1:11434 does not answer: cannot connect; 2 models are in error",
        "Ollama at http://127.0.0.1:11434 answers again",
    ]


def test_nothing_is_known_until_it_answers_or_is_believed_to_be_gone(watch: Watch) -> None:
    watch.missed(SLOW)
    assert not watch.conclusive

    watch.missed(DOWN)

    assert watch.conclusive
    assert watch.models == {}
