"""Reads, in requests per second: beside a bare handler that sends the same bytes, and beside PostgREST.

All three are measured over the same number of open connections, in turn, round after round. PostgREST answers the
single query nearest to the registry's response; it does not count rows, check an ETag or render.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import load
import servers
from bench import Bench
from report import Goal, Row
from servers import Answer, Server

CONNECTIONS = 16

_OF_BARE = Goal("ratio", "at least", 0.5)
_OF_POSTGREST = Goal("ratio", "at least", 3)

_MODEL = (
    "id,name,model_id,model_type,capabilities,vram_mb,context_length,description,routing_priority,tensorzero,metadata,"
    "active,version,created_at,updated_at,model_providers(name,type,api_base,api_key_env_var),model_aliases(alias,context)"
)
_RENDERED = "name,model_id,model_type,tensorzero,model_providers(name,type,api_base,api_key_env_var,tensorzero)"


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of read, as requests to the registry and to PostgREST."""

    name: str
    targets: list[str]
    """Requests to the registry, sent in turn."""
    nearest: list[str]
    """The same for PostgREST."""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    goals: tuple[Goal | None, Goal | None] = (_OF_BARE, _OF_POSTGREST)


def measure(bench: Bench) -> Iterator[Row]:
    """Measure every kind of read against both."""
    ids = bench.fill(bench.choose(1_000, 100))
    with ExitStack() as exits:
        registry = exits.enter_context(bench.registry())
        questions = _questions(registry, ids)
        answers = [registry.ask(q.targets[0], headers=q.headers, expect=q.status) for q in questions]
        bare = exits.enter_context(servers.bare(answers, bench.scratch))
        for number, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            yield from _rounds(bench, question, answer, (registry, bare, bench.postgrest), f"/{number}")


def _questions(registry: Server, ids: list[str]) -> list[Question]:
    config = registry.ask("/api/tensorzero/config")
    known = f"?known_revision={config.header('x-registry-revision')}"
    models = "/models?select=" + _MODEL
    rendered = f"/models?select={_RENDERED}&active=is.true&order=name"
    return [
        Question(
            "GET /api/models/{id}",
            [f"/api/models/{id_}" for id_ in ids],
            [f"{models}&id=eq.{id_}" for id_ in ids],
        ),
        Question(
            "GET /api/models?limit=50",
            ["/api/models?limit=50"],
            [f"{models}&order=name,routing_priority,provider_id&limit=50"],
        ),
        Question(
            "GET /api/models, filtered",
            ["/api/models?capability=tool_use&min_context=65536&limit=50"],
            [f"{models}&capabilities=cs.%5B%22function_calling%22%5D&context_length=gte.65536&order=name&limit=50"],
        ),
        Question(
            "GET /api/services/{s}/models",
            ["/api/services/service_0/models"],
            ["/v_service_models?service_name=eq.service_0&order=priority,weight.desc,variant_name"],
        ),
        Question("GET /api/tensorzero/config", ["/api/tensorzero/config"], [rendered]),
        # PostgREST has no ETags: its clients would query the changes since their last request.
        Question(
            "GET /api/tensorzero/config (304)",
            ["/api/tensorzero/config"],
            [f"/rpc/registry_changes_since{known}"],
            {"If-None-Match": config.header("etag")},
            304,
        ),
    ]


def _rounds(
    bench: Bench, question: Question, answer: Answer, asked: tuple[Server, Server, Server], bare_target: str
) -> Iterator[Row]:
    registry, bare, postgrest = asked
    streams = [
        (registry, _stream(question.targets, question.headers), question.status),
        (bare, _stream([bare_target], question.headers), question.status),
        (postgrest, _stream(question.nearest, postgrest.headers), 200),
    ]
    rounds, seconds = bench.choose((7, 1.0), (2, 0.15))
    for server, requests, status in streams:
        load.run(server.port, requests, connections=CONNECTIONS, seconds=bench.choose(0.5, 0.1), status=status)

    def one_round() -> list[Turn]:
        return [_turn(server, requests, seconds, status) for server, requests, status in streams]

    found, foreign = bench.rounds(question.name, rounds, one_round)
    by_server = list(zip(*found, strict=True))
    ours, limit, peer = (tuple(turn.load.per_second for turn in turns) for turns in by_server)
    more = {"body_bytes": len(answer.body), **_further(by_server)}
    yield Row(question.name, "/s", ours, "bare handler", limit, question.goals[0], foreign, more)
    yield Row(question.name, "/s", ours, "PostgREST", peer, question.goals[1], foreign, more)


@dataclass(frozen=True, slots=True)
class Turn:
    """One server's result in a round."""

    load: load.Load
    cpu_us: float
    """Processor time of its process per request. Varies less than requests per second when other programs run."""


def _turn(server: Server, requests: Iterator[bytes], seconds: float, status: int) -> Turn:
    before = server.cpu_seconds()
    one = load.run(server.port, requests, connections=CONNECTIONS, seconds=seconds, status=status)
    return Turn(one, (server.cpu_seconds() - before) / (one.per_second * seconds) * 1e6)


def _stream(targets: list[str], headers: Mapping[str, str]) -> Iterator[bytes]:
    return itertools.cycle([load.request("GET", target, headers) for target in targets])


def _further(by_server: Sequence[Sequence[Turn]]) -> dict[str, float]:
    more: dict[str, float] = {}
    for name, turns in zip(("registry", "bare", "postgrest"), by_server, strict=True):
        more[f"{name}_cpu_us_per_request"] = round(statistics.median(turn.cpu_us for turn in turns), 1)
        more[f"{name}_p50_ms"] = round(statistics.median(turn.load.p50_ms for turn in turns), 3)
        more[f"{name}_p99_ms"] = round(statistics.median(turn.load.p99_ms for turn in turns), 3)
        more[f"{name}_generator_cores"] = round(max(turn.load.own_cpu for turn in turns), 2)
    return more
