"""Processes that check configurations: few of them wait for their next job."""

from __future__ import annotations

import json
import subprocess
import sys

from model_registry.gateways.json_lines_child import IdleChildren, JsonLinesChild

_ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


class Child(JsonLinesChild):
    """One of few."""

    idle = IdleChildren(2)

    def __init__(self) -> None:
        super().__init__(
            lambda _directory: (sys.executable, "-I", "-c", _ECHO),
            environment={},
            stderr=subprocess.DEVNULL,
            group=True,
        )


def test_of_many_that_wait_the_one_that_waits_longest_loses_its_process_and_gets_another() -> None:
    children = [Child() for _ in range(4)]
    try:
        for number, each in enumerate(children):
            assert each.ask({"job": number}, 20.0, json.loads) == {"job": number}
        assert [each.process is not None for each in children] == [False, False, True, True]
        assert children[0].ask({"job": "again"}, 20.0, json.loads) == {"job": "again"}
        assert [each.process is not None for each in children] == [True, False, False, True]
        children[3].close()
        assert children[1].ask({}, 20.0, json.loads) == {}
        assert [each.process is not None for each in children] == [True, True, False, False]
    finally:
        for each in children:
            each.close()
