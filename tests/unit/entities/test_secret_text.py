"""The detector of secrets: finds every key we know of in every position, and nothing in what is none."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.secret_patterns import SHAPES
from model_registry.entities.secret_text import find_secrets, mask, mask_secrets, masked_beginning
from model_registry.entities.secret_values import masked_value, secrets_in, shown_path
from support.paths import ROOT
from support.secret_examples import AWS_SECRET, HEX, HEX_KEY, NAMED, PASSWORD, SHAPED, drawn

POSITIONS = {
    "alone": "{}",
    "in a sentence": "the server said that {} is not known.",
    "in brackets": "refused ({}), try again",
    "quoted": "key '{}' is wrong",
    "in JSON": '{{"a": [1, "{}"]}}',
    "in TOML": 'api_key_location = "{}"\n',
    "in a path": "https://host.example/v1/{}/chat",
    "in a query": "https://host.example/v1?k={}&b=2",
    "after env": "env::{}",
    "in lines": "one\n{}\ntwo",
    "after an equals sign": "X={}",
    "between others": "SHA, qwen3:8b; {}; b3",
}
PLACES: dict[str, Any] = {
    "a value": lambda key: {"a": key},
    "a list": lambda key: {"a": [{"b": [0, key]}]},
    "a name": lambda key: {"a": {key: 1}},
    "a header": lambda key: [{"name": "x", "value": key}],
}


@pytest.mark.parametrize("name", SHAPED)
def test_a_key_is_found_in_every_position_and_masked_whole(name: str, subtests: pytest.Subtests) -> None:
    key = SHAPED[name]
    for position, template in POSITIONS.items():
        with subtests.test(position=position):
            text = template.format(key)
            found = find_secrets(text)
            assert len(found) == 1
            assert key in text[found[0].start : found[0].end] or text[found[0].start : found[0].end] in key
            for shown in (mask_secrets(text), mask_secrets(text, eager=False)):
                assert key not in shown
                assert key[-12:] not in shown
    for place, put in PLACES.items():
        with subtests.test(place=place):
            value = put(key)
            places = list(secrets_in(value))
            assert len(places) == 1
            masked, number = masked_value(value)
            assert number == 1
            assert key not in json.dumps(masked, ensure_ascii=False)
            assert key not in shown_path(places[0].path)


@pytest.mark.parametrize("name", NAMED)
def test_what_a_name_announces_is_found_and_masked(name: str) -> None:
    value = NAMED[name]

    places = list(secrets_in(value))
    masked, number = masked_value(value)

    assert (len(places), number) == (1, 1)
    assert places[0].secret not in json.dumps(masked, ensure_ascii=False)
    assert masked_value(masked) == (masked, 0)
    assert list(secrets_in(masked)) == []


def test_every_shape_of_the_table_has_an_example() -> None:
    without = {shape.kind for shape in SHAPES if not any(shape.pattern.search(key) for key in SHAPED.values())}

    assert without <= {
        "Google API key",
        "Amazon Bedrock API key",
        "Hugging Face token",
        "PyPI token",
        "ElevenLabs API key",
    }


LOGGED = (
    f"FATAL: cannot connect to postgresql://u:{PASSWORD}@db/registry",
    f"postgresql://u:p@ss{PASSWORD}@db/registry is wrong",
    f"connection to nats://{drawn('n', 12)}@host:4222 lost",
    f'{{"error": {{"message": "x", "api_key": "{HEX_KEY}"}}}}',
    f'payload "{{\\"password\\": \\"{PASSWORD}\\"}}"',
    f"httpx.ConnectError: https://host/v1?api_key={HEX_KEY} refused",
    f"https:\\/\\/user:{PASSWORD}@host\\/v1",
    f"host=db user=registry password={PASSWORD} dbname=x",
    f"\x1b[36mpassword\x1b[0m=\x1b[35m{PASSWORD}\x1b[0m",
    f"aws_secret_access_key = {AWS_SECRET}",
    f"Incorrect API key provided: {SHAPED['openai project']}. You can find",
    f'error: password="{PASSWORD}"',
    f"cause: token={HEX_KEY}",
    f"headers=X-Api-Key: {HEX_KEY}",
    f"x=y: z=api_key: '{HEX_KEY}'",
    f"vllm serve --api-key {HEX_KEY} --port 1",
    f"['vllm', '--api-key', '{HEX_KEY}']",
    f"--api-key={HEX_KEY}",
    f'{{b"password": b"{PASSWORD}"}}',
    f"https://host/cb#access_token={HEX_KEY}&x=1",
)


@pytest.mark.parametrize("text", LOGGED, ids=range(len(LOGGED)))
def test_logs_and_errors_are_masked_eagerly(text: str) -> None:
    shown = mask_secrets(text)

    for secret in (PASSWORD, HEX_KEY, AWS_SECRET, SHAPED["openai project"], drawn("n", 12)):
        assert secret not in shown
    assert mask_secrets(shown) == shown


NO_SECRETS: tuple[Any, ...] = (
    {"api_key_location": "env::OPENAI_API_KEY"},
    {"api_key_location": "env::AZURE_OPENAI_API_KEY_EU_WEST_4_PRODUCTION"},
    {"api_key_location": {"default": "dynamic::user_key", "fallback": "env::KEY_2"}},
    {"api_key": "os.environ/OPENAI_API_KEY"},
    *({"api_key": word} for word in ("none", "EMPTY", "dummy", "not-needed", "sk-...", "sk-xxxxxxxxxxxxxxxxxxxx", "")),
    *({"api_key": word} for word in ("${OPENAI_KEY}", "$KEY1234", "{{ api_key }}", "<your key>", "your-key-1234")),
    {"api_key": "OPENAI_API_KEY"},
    {"password": "string"},
    {"password": "env::PASSWORD"},
    {"type": "object", "properties": {"password": {"type": "string", "minLength": 8}, "api_key": {"type": "string"}}},
    {"required": ["password", "api_key", "token"], "examples": [{"password": "hunter2"}]},
    {"bos_token": "<|begin_of_text|>", "eos_token": "<|im_end|>", "pad_token": "[PAD]", "token": "cl100k_base"},
    {"cost_per_token": 1.5e-07, "input_cost_per_token": "0.00000015", "max_tokens": 4096, "token_limit": "128000"},
    {"hf_id": "Qwen/Qwen3-Embedding-8B", "hf_transfer": True, "voice": "pa-Guru-IN-standard-voice-model-2025-08-28"},
    {"digest": "sha256:" + drawn("digest", 64, HEX), "commit": drawn("commit", 40, HEX)},
    {"id": str(uuid5(NAMESPACE_URL, "x"))},
    {"model": "ft:gpt-4o-mini-2024-07-18:acme::9xYzAb12", "revision": "refs/pr/17", "etag": f'"{drawn("e", 32, HEX)}"'},
    {"url": "https://host.example:8443/v1?api-version=2024-10-21&deployment=gpt-4o-2024-08-06"},
    {"url": "https://gateway.example/v1/" + drawn("account", 32, HEX) + "/openai"},
    {"url": "ssh://git@host.example/repo", "mail": "somebody@host.example", "at": "@team"},
    {"dsn": "postgresql://user:password@localhost/db", "other": "postgres://u:${PGPASSWORD}@db", "third": "://u:<password>@h"},
    {"license": "apache-2.0", "key": "qwen3_8b_local", "sort_key": "created_at", "primary_key": "model_id_2024"},
    {"secret": "kubernetes", "private_key": "/etc/keys/gateway.pem", "secret_name": "openai-credentials-v2"},
    "The password must have 8 characters. Never ask for the user's password: it is a secret! Token: one.",
    "Documented keys look like sk-..., sk-ant-..., hf_..., AIza... and `Authorization: Bearer <token>`.",
    "Authorization: Bearer $TOKEN; api_key=os.getenv('OPENAI_API_KEY'); password = input('password: ')",
    "password: {{ password }}, api_key: {api_key}, token=%s, secret: ****",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "basic understanding, bearer authentication-required, tokens per second: 1234567890",
    "sk-learn-text-classification-model-large, task-sk-8b-instruct-v2, risk-assessment-2024, ask-me-anything-12345678",
    "data:image/png;base64," + drawn("image", 4000),
    "eyJ0eXBlIjoib2JqZWN0IiwicHJvcGVydGllcyI6e319",
)  # fmt: skip


@pytest.mark.parametrize("value", NO_SECRETS, ids=lambda value: str(value)[:40])
def test_what_is_no_secret_is_let_through(value: Any) -> None:
    assert list(secrets_in(value)) == []


def _strings_of_sql(text: str) -> Iterator[Any]:
    """Every quoted text, as JSON where it is some."""
    for quoted in re.findall(r"'((?:[^']|'')*)'", text):
        try:
            yield json.loads(quoted.replace("''", "'"))
        except ValueError:
            yield quoted


WITH_KEYS = "literal_keys.yaml"
"""The fixture of a configuration with invented keys in it."""


def _corpus() -> Iterator[tuple[str, Any]]:
    for path in sorted([*ROOT.glob("seeds/*.sql")]):
        for value in _strings_of_sql(path.read_text()):
            yield path.name, value
    for path in sorted(ROOT.glob("tests/fixtures/**/*")):
        if path.is_file() and path.name != WITH_KEYS:
            text = path.read_text()
            yield path.name, text
            if path.suffix == ".json":
                yield path.name, json.loads(text)
            if path.suffix == ".toml":
                yield path.name, tomllib.loads(text)
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docker-compose.yml")]):
        yield path.name, path.read_text()


def test_nothing_of_ours_is_taken_for_a_secret() -> None:
    wrong = [(name, place.path, place.secret) for name, value in _corpus() for place in secrets_in(value)]

    assert wrong == []


def test_nothing_in_litellms_price_map_is_taken_for_a_secret() -> None:
    litellm = find_spec("litellm")
    assert litellm is not None
    assert litellm.origin is not None
    prices = json.loads((Path(litellm.origin).parent / "model_prices_and_context_window_backup.json").read_text())
    assert len(prices) > 1000

    assert list(secrets_in(prices)) == []
    assert masked_value(prices) == (prices, 0)


PIECES = st.sampled_from([
    *(*SHAPED.values(), PASSWORD, HEX_KEY, "password", "api_key", "=", ": ", "://u:", "@h", " ", '"', "?", "&key="),
    *("…", "(", "env::", "Bearer ", "x1"),
])  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
def test_masking_what_is_masked_changes_nothing(text: str) -> None:
    for eager in (True, False):
        once = mask_secrets(text, eager=eager)
        assert mask_secrets(once, eager=eager) == once
        assert find_secrets(once, eager=eager) == []


@given(st.integers(0, 300))
def test_a_secret_is_masked_whole_wherever_a_text_is_cut(length: int) -> None:
    key = SHAPED["anthropic"]
    text = f"{'a' * 80} {key} {'b' * 80}"

    shown, number = masked_beginning(text, length)

    assert key[:10] not in shown
    assert number == (length > 81)
    assert len(shown) <= max(length, 81 + len(key))


def test_a_mask_tells_which_key_it_was_and_not_the_key() -> None:
    assert mask("sk-a" + "x" * 47) == "sk-a…(51 characters)"
    assert mask(PASSWORD[:7]) == "…(7 characters)"


def test_thousands_of_keys_in_one_word_are_masked_together() -> None:
    # Each has a beginning only once the one before it is masked. A pass for each would take hours here.
    key = SHAPED["databricks"]

    shown = mask_secrets(f"a {key * 20_000} b")

    assert key[4:] not in shown
    assert len(shown) < 500
    assert mask_secrets(shown) == shown
