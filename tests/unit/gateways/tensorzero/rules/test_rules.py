"""The rules on whole configurations: faults that rows cannot have, but other projects can."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.gateways.tensorzero.rules import check_configuration
from support.drawn import JSON

BASE = """
[models.m]
routing = ["p"]
[models.m.providers.p]
type = "openai"
model_name = "x"
api_key_location = "none"
[embedding_models.e]
routing = ["p"]
[embedding_models.e.providers.p]
type = "openai"
model_name = "x"
api_key_location = "none"
[functions.f]
type = "chat"
[functions.f.variants.v]
type = "chat_completion"
model = "m"
"""
WRONG = [
    ("[zzz]", "zzz: is no section"),
    ("[models.a]", "models.a: the key 'providers' is missing"),
    ('[models.a]\nrouting = ["p"]\nproviders = {}', "models.a.routing: names 'p', which is not"),
    ("[models.a]\nrouting = []\nproviders = {}", "models.a.routing: is empty"),
    ("[embedding_models.a]\nrouting = []\nproviders = {}", "embedding_models.a.routing: is empty"),
    ('["models"."tensorzero::a"]\nrouting = []\nproviders = {}', "keeps for itself"),
    ("[models.a]\nrouting = 1\nproviders = 2", "models.a.providers: must be a table"),
    ('["functions"."tensorzero::f"]\ntype = "chat"\nvariants = {}', "must not start with 'tensorzero::'"),
    ('[functions.g]\ntype = "chat"', "functions.g: the key 'variants' is missing"),
    ('[functions.g]\ntype = "chat"\nvariants = {}', "functions.g.variants: is empty"),
    ("[functions.g]\nvariants = {}", "functions.g.type: must be chat or json"),
    ('[functions.f.variants.w]\ntype = "chat_completion"', "the key 'model' is missing"),
    ('[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "e"', "is an embedding model"),
    ('[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "vllm::x"', "not in the configuration"),
    ('[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\nweight = nan', "finite number"),
    ('[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\nweight = -1', "must not be negative"),
    ('[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\ntemperature = 1e300', "32-bit"),
    (
        '[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\nextra_body = [{pointer = "/a", value = nan}]',
        "nan",
    ),
    (
        '[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\nsystem_template = {path = "a"}',
        "path of a file",
    ),
    ('[functions.f.experimentation]\ntype = "static"\ncandidate_variants = {v = inf}', "from 0 up"),
    ('[functions.f.experimentation]\ntype = "static"\ncandidate_variants = {}', "no variant could ever be used"),
    ('[functions.f.experimentation]\ntype = "adaptive"', "'metric' is missing"),
    ('[functions.f.evaluators."a::b"]\ntype = "exact_match"', "must not contain '::'"),
    ("[models.m.providers.p.timeouts.streaming]\nttft_ms = 0", "is 0"),
    ('[[models.m.providers.p.cost]]\npointer = "/a"\ncost_per_unit = 1e30', "below 7.9e28"),
    ("[gateway]\nport = 1", "gateway.port: is not a key"),
    ("[gateway.cache]\nenabeld = true", "did you mean 'enabled'"),
]


@pytest.mark.parametrize(("addition", "says"), WRONG)
def test_what_is_wrong_is_named_with_its_place(addition: str, says: str) -> None:
    assert check_configuration(tomllib.loads(BASE)) == []
    reasons = [str(reason) for reason in check_configuration(tomllib.loads(f"{BASE}\n{addition}"))]
    assert any(says in reason for reason in reasons), reasons


def test_timeouts_are_held_against_the_limit_that_the_configuration_sets() -> None:
    timeout = "[models.m.timeouts.non_streaming]\ntotal_ms = 2000\n"
    assert not check_configuration(tomllib.loads(BASE + timeout))
    limit = "[gateway]\nglobal_outbound_http_timeout_ms = 1000\n"
    assert check_configuration(tomllib.loads(BASE + timeout + limit))


def test_files_are_looked_for_only_where_they_can_be() -> None:
    variant = '[functions.f.variants.w]\ntype = "chat_completion"\nmodel = "m"\n'
    tree = tomllib.loads(f'{BASE}{variant}system_template = "a/b.minijinja"\nuser_template = "/etc/c.minijinja"\n')
    assert not check_configuration(tree)
    assert not check_configuration(tree, has_file=lambda path: path == "a/b.minijinja")
    [missing] = check_configuration(tree, has_file=lambda _: False)
    assert missing.where == "functions.f.variants.w.system_template"


def test_sections_that_are_not_modelled_are_left_alone() -> None:
    assert check_configuration({"rate_limiting": {"rules": []}, "postgres": {"connection_pool_size": 5}}) == []


def _mutated(tree: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    return {**tree, path[0]: _mutated(tree[path[0]], path[1:], value)}


def _paths(tree: Any, path: tuple[str, ...] = ()) -> list[list[str]]:
    below = (
        [found for key, item in tree.items() for found in _paths(item, (*path, key))] if isinstance(tree, dict) else []
    )
    return [list(path), *below]


FULL = tomllib.loads(
    BASE
    + """
[functions.f.variants.b]
type = "experimental_best_of_n_sampling"
candidates = ["v"]
evaluator = { model = "m", templates = {} }
[functions.f.experimentation]
type = "static"
candidate_variants = { v = 1.0 }
fallback_variants = ["b"]
namespaces = { n = { type = "uniform" } }
[models.m.timeouts]
non_streaming = { total_ms = 5 }
[gateway.observability]
enabled = false
"""
)


@given(path=st.sampled_from(_paths(FULL)[1:]), value=JSON)
def test_any_value_anywhere_gives_reasons_and_no_error(path: list[str], value: Any) -> None:
    reasons = check_configuration(_mutated(FULL, path, json.loads(json.dumps(value))))
    assert all(reason.where and reason.message for reason in reasons)
