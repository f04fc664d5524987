"""The rules against the real gateway, also on what it loads only with a database: its own check comes first."""

from __future__ import annotations

import copy
import importlib
import math
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from model_registry.entities.credential_schemes import CREDENTIAL_SCHEMES
from model_registry.gateways.tensorzero.reading.file_references import strings
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.validation.dummy_credentials import environment
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.gateways.tensorzero.validation.validate import ValidationResult, check_project
from support import paths
from support.paths import ROOT

Tree = dict[str, Any]
Ask = Callable[[Tree], str]

FIXTURES = paths.FIXTURES / "tensorzero"
WANTS = (
    "is not available",
    "no backend is available",
    "connection is required",
    "TENSORZERO_POSTGRES_URL",
    "embedded gateway mode",
)
"""In refusals that only say that a database is missing, or that this gateway is not the whole program."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway:
        yield gateway


@pytest.fixture
def ask(gateway: GatewayProcess) -> Ask:
    """Return the gateway's reason for refusing a configuration as it is; empty for none but a missing database."""

    def asked(tree: Tree) -> str:
        path = gateway.directory / "tensorzero.toml"
        path.write_text(tomli_w.dumps(tree))
        message = gateway.load(path, environment(strings(tree))).message or ""
        return "" if any(words in message for words in WANTS) else message

    return asked


def test_the_table_of_credentials_is_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    measured = importlib.import_module("write_credential_schemes").measured()
    assert measured == CREDENTIAL_SCHEMES, "run scripts/write_credential_schemes.py"


def tables(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from tables(item, (*path, key))


@pytest.mark.parametrize("fixture", ["everything", "needs_databases", "files", "deprecated"])
def test_the_rules_say_of_every_unknown_key_what_the_gateway_does_with_it(
    gateway: GatewayProcess, ask: Ask, fixture: str
) -> None:
    project = read_project([str(FIXTURES / fixture)])
    for name, content in project.files.items():
        file: Path = gateway.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    wrong = []
    # The gateway writes to its stores while loading, which no gateway here may.
    for path in (path for path in tables(project.tree) if path not in {(), ("object_storage",)}):
        tree = {**copy.deepcopy(project.tree), "object_storage": {"type": "disabled"}}
        table: Any = tree
        for key in path:
            table = table[key]
        table["zzz"] = 1
        said = [r.message for r in check_configuration(tree) if r.where.endswith("zzz") and "is not a key" in r.message]
        if said:
            refused = bool(ask(tree))
            wrong += [(path, said[0])] if refused == ("silently ignores" in said[0]) else []
    assert wrong == []


BASE = """
[metrics.m]
type = "boolean"
level = "inference"
optimize = "max"
[functions.f]
type = "chat"
variants.a = { type = "chat_completion", model = "openai::a" }
variants.b = { type = "chat_completion", model = "openai::b" }
"""
ADAPTIVE = {"type": "adaptive", "candidate_variants": ["a", "b"], "metric": "m"}
BATCHES = {"async_writes": False, "batch_writes": {"enabled": True, "__force_allow_embedded_batch_writes": True}}
RULE = {"always": True, "scope": []}


def experiment(**keys: Any) -> Tree:
    return {"functions": {"f": {"experimentation": {**ADAPTIVE, **keys}}}}


def batches(**keys: Any) -> Tree:
    return {"gateway": {"observability": {**BATCHES, "batch_writes": {**BATCHES["batch_writes"], **keys}}}}  # type: ignore[dict-item]


def limit(**keys: Any) -> Tree:
    return {"rate_limiting": {"rules": [{**RULE, **keys}]}}


def aws(**keys: str) -> Tree:
    table = {"type": "aws_bedrock", "model_id": "x", "region": "us-east-1", **keys}
    return {"models": {"m": {"routing": ["p"], "providers": {"p": table}}}}


def relay(url: str) -> Tree:
    return {"gateway": {"relay": {"gateway_url": url}}}


def traces(word: str) -> Tree:
    return {"gateway": {"export": {"otlp": {"traces": {"format": word}}}}}


def buckets(*bounds: float) -> Tree:
    return {"gateway": {"metrics": {"tensorzero_inference_latency_overhead_seconds_buckets": list(bounds)}}}


FINE: list[Tree] = [
    experiment(),
    experiment(type="track_and_stop", algorithm="track_and_stop", fallback_variants=[]),
    experiment(candidate_variants=["a"], fallback_variants=["b"], epsilon=2, update_period_s=0, min_prob=1.0),
    experiment(min_samples_per_variant=10_000, delta=0.999, min_prob=0.5),
    experiment(namespaces={"n": {"type": "static", "candidate_variants": ["a"]}}),
    {"functions": {"f": {"experimentation": {"type": "uniform", "namespaces": {"n": {**ADAPTIVE, "min_prob": 0.1}}}}}},
    batches(flush_interval_ms=1, max_rows=1, max_rows_postgres=1, write_queue_capacity=1),
    {"gateway": {"observability": {"enabled": True, "backend": "postgres", "batch_writes": {"enabled": False}}}},
    {"gateway": {"cache": {"enabled": True, "backend": "valkey", "valkey": {"ttl_s": 0}}}},
    {"gateway": {"cache": {"backend": "clickhouse"}}},
    {"gateway": {"auth": {"enabled": True, "cache": {"enabled": True, "ttl_ms": 0}}}},
    {"gateway": {"relay": {"gateway_url": "http://127.0.0.1:9", "api_key_location": "none"}}},
    *(relay(url) for url in ("https://gateway.example/x?y=1", "http://[::1]:1", "HTTP://A", "http://ex_ample")),
    *(traces(word) for word in ("opentelemetry", "openinference")),
    *(buckets(*bounds) for bounds in ((), (0,), (-0.0, 0.5), (1, 2.5, 3))),
    {"postgres": {"enabled": True, "connection_pool_size": 0}},
    {"rate_limiting": {"enabled": True, "backend": "valkey", "default_cost": 1e9}},
    limit(tokens_per_week=1, cost_per_hour=9e9),
    aws(endpoint_url="env::A_URL"),
    aws(endpoint_url="path_from_env::A_FILE", region="env::A_REGION"),
    aws(access_key_id="env::A", secret_access_key="env::B", session_token="sdk"),  # noqa: S106
]
"""What the gateway refuses at most for want of a database."""

WRONG: list[Tree] = [
    experiment(algorithm="x"),
    experiment(metric="zzz"),
    experiment(candidate_variants=[]),
    experiment(candidate_variants={"a": 1.0}),
    experiment(candidate_variants=["a", "a"]),
    experiment(candidate_variants=["a", "zzz"]),
    experiment(fallback_variants=["a"]),
    experiment(fallback_variants={"b": 1.0}),
    experiment(min_samples_per_variant=0),
    experiment(min_samples_per_variant=10_001),
    experiment(max_samples_per_variant=9),
    experiment(delta=0.0),
    experiment(delta=1),
    experiment(epsilon=-0.1),
    experiment(min_prob=0.6),
    experiment(min_prob=-0.1),
    experiment(update_period_s=1.5),
    experiment(type="static_weights"),
    experiment(type="static", namespaces={"n": {**ADAPTIVE, "metric": "zzz"}}),
    *(batches(**{key: 0}) for key in ("flush_interval_ms", "max_rows", "max_rows_postgres", "write_queue_capacity")),
    batches(enabled=False, max_rows=0),
    {"gateway": {"observability": {"batch_writes": {"enabled": True}}}},
    {"gateway": {"observability": {"enabled": False, "async_writes": True, "batch_writes": {"enabled": True}}}},
    {"gateway": {"observability": {"async_writes": False, "batch_writes": {"max_rows": 1}}}},
    {"gateway": {"cache": {"backend": "postgres"}}},
    {"gateway": {"auth": {"cache": {"enabled": True}}}},
    {"gateway": {"relay": {"gateway_url": "http://127.0.0.1:9", "api_key_location": "sdk"}}},
    *(relay(url) for url in ("", "nonsense", "/a", "1a:b", "http://", "http://?a", "http://a b", "http://a|b")),
    *(relay(url) for url in ("http://a:99999", "http://a:b", "http://[::1", "http://1.2.3.999", "http://%")),
    *(traces(word) for word in ("", "zzz", "OpenTelemetry", "open_inference")),
    *(buckets(*bounds) for bounds in ((2, 1), (1, 1), (1, 2.5, 2.4), (-1, 1), (-1e-9,), (math.inf,), (0, math.nan))),
    {"postgres": {"inference_data_retention_days": 1, "inference_retention_days": 1}},
    {"rate_limiting": {"default_cost": 1e10}},
    limit(cost_per_hour=1e10),
    limit(tokens_per_fortnight=1),
    limit(tokens_per_hour={"capacity": 1, "refill_rate": 1, "zzz": 1}),
    aws(endpoint_url="sdk"),
    aws(access_key_id="env::A", secret_access_key="env::B", session_token="dynamic::c"),  # noqa: S106
]


def merged(part: Tree) -> Tree:
    tree = tomllib.loads(BASE)
    for section, table in part.items():
        known = tree.setdefault(section, {})
        for key, value in table.items():
            known[key] = {**known[key], **value} if isinstance(known.get(key), dict) else value
    return tree


@pytest.mark.parametrize("part", FINE, ids=str)
def test_what_needs_a_database_is_fine_by_the_rules_and_by_the_rest_of_the_gateway(
    gateway: GatewayProcess, ask: Ask, part: Tree
) -> None:
    tree = merged(part)
    assert not check_configuration(tree)
    if "models" not in part:
        assert not ask(tree)
    result = checked(gateway, tree)
    assert result.accepted, result.reasons


@pytest.mark.parametrize("part", WRONG, ids=str)
def test_what_the_gateway_refuses_with_a_database_too_the_rules_refuse(
    gateway: GatewayProcess, ask: Ask, part: Tree
) -> None:
    tree = merged(part)
    assert ask(tree)
    assert check_configuration(tree)
    assert not checked(gateway, tree).accepted


def checked(gateway: GatewayProcess, tree: Tree) -> ValidationResult:
    return check_project({"tensorzero.toml": tomli_w.dumps(tree).encode()}, gateway)


def test_what_was_checked_how_is_said(gateway: GatewayProcess) -> None:
    learning = {**ADAPTIVE, "namespaces": {"n": ADAPTIVE, "s": {"type": "static", "candidate_variants": ["a"]}}}
    tree = merged({"functions": {"f": {"experimentation": learning}}, "postgres": {"enabled": True}, **limit()})
    answer = checked(gateway, tree).gateway
    assert answer is not None
    assert answer.by_rules == (
        "postgres",
        "rate_limiting",
        "functions.f.experimentation",
        "functions.f.experimentation.namespaces.n",
    )
    told = [warning for warning in answer.warnings if warning.startswith("not checked by the gateway but by the rules")]
    assert [warning.rpartition(": ")[2] for warning in told] == list(answer.by_rules)
    assert not any("will not be enforced" in warning for warning in answer.warnings)


def test_parts_that_need_a_database_may_stand_in_several_files(gateway: GatewayProcess) -> None:
    files = {
        "a.toml": '[rate_limiting]\nbackend = "postgres"\nrules = [{ always = true, tokens_per_day = 1 }]\n',
        "b.toml": '[rate_limiting]\nenabled = true\n[gateway.cache]\nbackend = "valkey"\n',
        "c.toml": "[gateway.cache]\nenabled = true\n",
    }
    result = check_project({name: text.encode() for name, text in files.items()}, gateway)
    assert result.accepted, result.reasons


def test_a_key_in_a_file_is_refused_where_the_gateway_reads_none(gateway: GatewayProcess) -> None:
    provider = 'type = "anthropic"\nmodel_name = "x"\napi_key_location = "path::/run/secrets/key"\n'
    text = f'[models.m]\nrouting = ["p"]\n[models.m.providers.p]\n{provider}'
    result = check_project({"tensorzero.toml": text.encode()}, gateway)
    assert not result.accepted
    assert "name that" in result.faults[0].message
