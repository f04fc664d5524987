"""Which rows a reason for a refusal points to: by the rules' paths, and by what the gateway is known to say."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.entities.change import Operation
from model_registry.errors import Reason
from model_registry.gateways.publishing.exclusions import Part, Settings, exclusion, without
from model_registry.gateways.tensorzero.suspects import TensorZeroSuspects, settings_of
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue


def section(catalogue: Catalogue, name: str, value: dict[str, Any]) -> None:
    catalogue.operations.append(Operation("config_sections", "insert", name, {"name": name, "value": value}))


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    rows = Catalogue()
    local, other = rows.provider("local"), rows.provider("p.q r")
    routed = rows.provider("routed", route_by="deployments")
    one = rows.model(local, "m.1", tensorzero={"provider": {"extra_body": [{"pointer": "/x", "value": "t.minijinja"}]}})
    rows.model(other, "m.1")
    rows.model(local, "m")
    rows.alias(one, "nick")
    rows.node("gpu", endpoint="http://gpu:8000")
    rows.deployment(rows.model(routed, "live"), "gpu", status="loaded")
    for name in ("f", "f.g x"):
        rows.function(name, service_name="tensorzero")
        rows.mapping(one, "v", service_name="tensorzero", function_name=name, fallback_model_id=one)
    rows.mapping(
        one, "v.w x", service_name="tensorzero", function_name="f.g x", tensorzero={"system_template": "t.minijinja"}
    )
    rows.operations.append(Operation("config_files", "insert", "file", {"path": "t.minijinja", "content": ""}))
    section(rows, "tools", {"t": {"parameters": "t.minijinja"}, "u": {"parameters": "u.json"}})
    section(rows, "evaluations", {"e": {"function_name": "f"}})
    section(rows, "gateway", {"debug": True})
    section(rows, "nonsense", {"a": 1})
    return rows.snapshot()


def named(snapshot: Snapshot, reason: Reason, accepted: dict[str, Any] | None = None) -> dict[str, bool]:
    """The names of the rows, and whether they are certain."""
    suspects = TensorZeroSuspects(lambda: accepted).named(snapshot, [reason])
    rows = {found: exclusion(snapshot, found.part, [], 1, {}) for found in suspects}
    return {f"{row.kind} {row.name}": found.certain for found, row in rows.items()}


SAYS = {
    "functions.f: variants.v: zzz: unknown field `zzz`, expected one of `weight`, `model`": "mapping tensorzero/f/v",
    "functions.f.g x: variants.v: unknown field `zzz`": "mapping tensorzero/f.g x/v",
    "`functions.f.g x.variants.v.w x.user_template`: template needs": "mapping tensorzero/f.g x/v.w x",
    "`functions.f.g x.variants.v_fallback.model`: no": "mapping tensorzero/f.g x/v",
    "`json_mode` must be specified for `[functions.f.variants.v]` (parent function `f`": "mapping tensorzero/f/v",
    "Evaluator `q` in `[functions.f.g x.evaluators]`: invalid regex": "function tensorzero/f.g x",
    "error (in tensorzero::llm_judge::function_name::f::q::z::system:1)": "function tensorzero/f",
    "models.m.1.providers.p.q r: Invalid api_key_location for OpenAI provider": "model m.1 at p.q r",
    "models.nick.providers.local: Invalid api_key_location": "model m.1 at local",
    "models.live.providers.routed@gpu: api_base: bad": "deployment gpu/ollama/m-id",
    "models.m.providers.local: bad": "model m at local",
    "tools.t: bad": "section tools.t",
    "Function `nope` not found (referenced in `[evaluations.e]`)": "section evaluations.e",
    "nonsense: unknown field": "",
}


@pytest.mark.parametrize("message", SAYS)
def test_what_the_gateway_names_is_certain(snapshot: Snapshot, message: str) -> None:
    found = named(snapshot, Reason("", f"the gateway says: {message}"))

    assert found == ({SAYS[message]: True} if SAYS[message] else {})


PATHS = {
    'functions."f.g x".variants."v.w x".model': "mapping tensorzero/f.g x/v.w x",
    "functions.f.tools.0": "function tensorzero/f",
    'models."m.1".providers."p.q r".api_base': "model m.1 at p.q r",
    "tools.u.parameters": "section tools.u",
    "nonsense": "section nonsense",
    "t.minijinja": "file t.minijinja",
}


@pytest.mark.parametrize("path", PATHS)
def test_what_the_rules_name_is_certain(snapshot: Snapshot, path: str) -> None:
    assert named(snapshot, Reason(path, "is wrong")) == {PATHS[path]: True}


def test_all_that_name_a_broken_file_are_meant(snapshot: Snapshot) -> None:
    assert named(snapshot, Reason("", "syntax error (in t.minijinja:1)")) == {
        "model m.1 at local": True,
        "mapping tensorzero/f.g x/v.w x": True,
        "section tools.t": True,
    }


def test_what_is_only_quoted_is_likely(snapshot: Snapshot) -> None:
    assert named(snapshot, Reason("", "Model name 'nick' contains a reserved prefix")) == {
        "model m.1 at local": False,
        "model m.1 at p.q r": False,
    }
    assert named(snapshot, Reason("models.nick.routing", "is wrong")) == {
        "model m.1 at local": False,
        "model m.1 at p.q r": False,
        "alias nick": False,
    }
    assert named(snapshot, Reason("", "the check crashes or hangs on this configuration")) == {}


def test_settings_are_put_back_and_never_left_out(snapshot: Snapshot) -> None:
    reason = Reason("", "the gateway says: gateway.zzz: unknown field `zzz`")
    (part,) = {found.part for found in TensorZeroSuspects(dict).named(snapshot, [reason])}

    assert named(snapshot, reason) == {}
    assert named(snapshot, reason, {"gateway": {"debug": True}}) == {}
    assert part.as_accepted
    earlier = without(snapshot, [part], {"gateway": {"base_path": "/x"}})
    assert settings_of(earlier) == {"gateway": {"base_path": "/x"}}
    assert settings_of(without(snapshot, [part], {})) == {}


def test_what_others_need_comes_first(snapshot: Snapshot) -> None:
    parts = TensorZeroSuspects(lambda: None).parts(snapshot)
    tables = list(dict.fromkeys(part.table for part in parts))

    assert tables == [
        "config_sections", "models", "model_deployments", "model_aliases", "functions", "service_model_mappings",
    ]  # fmt: skip
    assert parts[-1] == Part("config_sections", "evaluations", "e")
    assert Part("config_sections", "tools", "t") in parts
    rest = without(snapshot, parts, {})
    assert not rest.models
    assert [row.value for row in rest.sections.where("name", "tools")] == [{}]
    assert rest.sections.where("name", "gateway")


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ({"gateway": {"base_path": "/x"}}, "the value that was accepted last stays in use"),
        ({"postgres": {}}, "no value of it was accepted before, so gateways get none"),
    ],
)
def test_what_gateways_get_instead_of_refused_settings_is_said(
    snapshot: Snapshot, accepted: Settings, said: str
) -> None:
    reason = Reason("", "the gateway says: gateway.zzz: unknown field `zzz`")
    (part,) = {found.part for found in TensorZeroSuspects(lambda: accepted).named(snapshot, [reason])}
    assert exclusion(snapshot, part, [reason], 1, accepted).reasons[-1].message == said
