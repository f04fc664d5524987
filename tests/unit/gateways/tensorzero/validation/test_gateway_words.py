"""The gateway's errors, made readable. The gateway itself runs in tests/acceptance."""

from __future__ import annotations

import pytest

from model_registry.gateways.tensorzero.reading.file_references import strings
from model_registry.gateways.tensorzero.validation.dummy_credentials import ACCOUNT, environment
from model_registry.gateways.tensorzero.validation.gateway_process import distilled

AROUND = (
    "Failed to construct TensorZero client: ConfigParsing {{ error: Other "
    "{{ source: TensorZeroInternalError(Error({})) }}, glob: x }}"
)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('Config { message: "models.m: unknown field `z`" }', "models.m: unknown field `z`"),
        (r'Config { message: "no \"x\"\nhere \'y\'" }', "no \"x\"\nhere 'y'"),
        ('UnknownCandidate { name: "zz" }', 'UnknownCandidate { name: "zz" }'),
        ('Config { message: "\x1b[31mred\x1b[0m" }', "red"),
    ],
)
def test_only_what_is_for_people_is_left(said: str, read: str) -> None:
    assert distilled(AROUND.format(said)) == read


def test_what_is_not_understood_is_kept() -> None:
    assert distilled("something else") == "something else"


def test_every_variable_that_a_configuration_names_gets_a_value_and_no_name_gets_two_meanings() -> None:
    tree = {"a": ["env::MY_KEY", {"b": "path_from_env::MY_FILE"}], "c": "env::", "d": "env::A=B", "e": "dynamic::x"}
    variables = environment(strings(tree))
    assert variables["MY_KEY"] == variables["OPENAI_API_KEY"] == "not-a-key"
    assert variables["MY_FILE"] == variables["GCP_VERTEX_CREDENTIALS_PATH"] == ACCOUNT
    assert not {"", "A=B", "x"} & variables.keys()
    assert variables["HTTPS_PROXY"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "name",
    ["HTTP_PROXY", "https_proxy", "LD_PRELOAD", "PATH", "RUST_LOG", "AWS_CONFIG_FILE", "AWS_REGION", "SSL_CERT_FILE"],
)
def test_no_text_gives_a_value_to_what_keeps_the_gateway_quiet(name: str) -> None:
    quiet = environment()
    assert environment(strings({"a": f"path_from_env::{name}", "b": {"endpoint": f"env::{name}"}})) == quiet


def test_a_tree_that_is_too_deep_is_refused_as_such() -> None:
    tree: object = "x"
    for _ in range(5000):
        tree = [tree]
    with pytest.raises(RecursionError):
        list(strings(tree))
