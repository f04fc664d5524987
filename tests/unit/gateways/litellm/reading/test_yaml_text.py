"""YAML as LiteLLM's reader reads it, with the line of each mistake, and within bounds whatever the text is."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.litellm.reading.yaml_text import read_yaml
from support import litellm_configs

ALIASES = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HIDDEN = "sk-live-0123456789abcdef"

SAME = {
    "numbers": "a: 0x1F\nb: 1_000\nc: 12:30\nd: 1e-5\ne: 1.0e-5\nf: 010\ng: -3\nh: .5",
    "words for true and false": "a: yes\nb: No\nc: on\nd: OFF\ne: 'yes'\nf: y",
    "nothing": "a: ~\nb:\nc: null\nd: ''",
    "anchors and aliases": "a: &a [1, {b: &b 2}]\nc: *a\nd: *b",
    "merged mappings": "x: &x {a: 1, b: 2}\ny: &y {b: 9, c: 3}\nz: {<<: [*x, *y], d: 4}\nw:\n  <<: *x\n  a: own",
    "block texts": "a: |\n  one\n  two\nb: >-\n  one\n  two\n",
    "a byte order mark": "\ufeffa: 1",
    "tags of plain values": "a: !!str 5\nb: !!int '5'\nc: !!float 3",
    "JSON": '{"a": [1, 2.5, true, null, "x"]}',
    "several documents": "a: 1\n---\nb: 2\n...\n",
    "an empty text": "# nothing\n",
    "a key twice": "a: 1\nb: 2\na: 3\n",
}


@pytest.mark.parametrize("case", SAME)
def test_values_are_those_of_the_safe_loader(case: str) -> None:
    documents = [document.value for document in read_yaml("f.yaml", SAME[case])]
    assert documents == list(yaml.safe_load_all(SAME[case]))


@pytest.mark.parametrize("name", litellm_configs.NAMES)
def test_every_fixture_is_read_as_by_the_safe_loader(name: str) -> None:
    for file, text in litellm_configs.files_of(name).items():
        loaded = [document.value for document in read_yaml(file, text)]
        assert loaded == [_as_json(value) for value in yaml.load_all(text, Loader=_Texts)]


class _Texts(yaml.SafeLoader):
    """The safe loader with dates as the texts that they are written as."""


def _text(loader: _Texts, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Texts.add_constructor("tag:yaml.org,2002:timestamp", _text)


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
)
_VALUES = st.recursive(
    _LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="ascii", categories=["L", "N"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    (document,) = read_yaml("f.yaml", yaml.safe_dump(value, allow_unicode=True))
    assert document.value == value


REFUSED = {
    "no YAML": ("a: b: c", 1, "not valid YAML"),
    "a tab": ("a:\n\tb: 1", 2, "not valid YAML"),
    "a quote that is not closed": ("a: 1\nb: 'x", 2, "not valid YAML"),
    "a template": ("a: 1\nb: {{ .Values.key }}\n", 2, "helm template"),
    "a key that is a mapping": ("? {a: 1}\n: b", 1, "put quotes"),
    "an object of a programming language": ("a: !!python/object/apply:os.system [x]", 1, "python/object"),
    "another tag": ("a: 1\nb: !vault |\n  x", 2, "!vault"),
    "bytes": ("a: !!binary aGVsbG8=", 1, "binary"),
    "a number that is none": ("a: !!int abc", 1, "is no int"),
    "a word that is no truth": ("a: !!bool maybe", 1, "is no bool; put quotes"),
    "no number at all": ("a: 1\nb: !!int ''", 2, "is no int"),
    "a number in sixties without end": (f"a: {'59:' * 200}59.5", 1, "604 characters"),
    "infinity": ("a: .inf", 1, "is inf"),
    "a number beyond 64 bits": ("a: 99999999999999999999", 1, "64 bits"),
    "NUL": ('a: "\\0"', 1, "NUL"),
    "an unknown alias": ("a: *b", 1, "define the anchor first"),
    "an alias of itself": ("a: &a [*a]", 1, "define the anchor first"),
    "a merge of no mapping": ("a: &a 5\nb: {<<: *a}", 2, "no mapping"),
    "lists in lists": ("[" * 100_000, 1, "levels deep"),
    "mappings in mappings": ("\n".join(" " * n + "a:" for n in range(3000)), 65, "levels deep"),
    "aliases of aliases": (f"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n{ALIASES}", 7, "values"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_named_with_its_line(case: str) -> None:
    text, line, words = REFUSED[case]
    with pytest.raises(InvalidConfiguration) as caught:
        read_yaml("f.yaml", text)
    (reason,) = caught.value.reasons
    assert reason.where == f"f.yaml: line {line}"
    assert words in reason.message


@pytest.mark.parametrize("text", [f"a: '{HIDDEN}", f"a: {HIDDEN}: b: c", f"a: !x {HIDDEN}", f"? [{HIDDEN}]\n: b"])
def test_no_message_quotes_the_text(text: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read_yaml("f.yaml", text)
    assert HIDDEN not in f"{caught.value} {caught.value.reasons}"


def test_values_have_lines_and_keys_that_are_there_twice_are_named() -> None:
    (document,) = read_yaml("f.yaml", "a:\n- b: 1\n  c: 2\n  b: 3\nd: x\n")
    assert document.line(("a", "0", "c")) == 3
    assert document.line(("d",)) == 5
    assert document.line(("a", "0", "unknown")) == 2
    assert document.twice == [(("a", "0", "b"), 2, 4)]


def test_what_json_has_no_word_for_is_kept_as_text_and_named() -> None:
    (document,) = read_yaml("f.yaml", "a: 2024-02-01\n5: x\non: 2001-12-14t21:59:43.10-05:00\n")
    assert document.value == {"a": "2024-02-01", "5": "x", "on": "2001-12-14t21:59:43.10-05:00"}
    assert [path for path, _ in document.reworded] == [("a",), ("5",), ("on",), ("on",)]


@given(st.floats())
def test_only_finite_numbers_are_read(number: float) -> None:
    text = yaml.safe_dump({"a": number})
    if math.isfinite(number):
        assert read_yaml("f.yaml", text)[0].value == {"a": number}
    else:
        with pytest.raises(InvalidConfiguration):
            read_yaml("f.yaml", text)
