"""Syntax that the gateway still accepts but deprecates, each with its replacement.

The table has the warnings of 2026.6.0 while loading. Syntax that it refuses already is a fault, in the other files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path, dotted

Test = Callable[[Any], bool]


def _anything(_: object) -> bool:
    return True


def _is(word: str) -> Test:
    return lambda value: bool(value == word)


def _ends(ending: str) -> Test:
    return lambda value: isinstance(value, str) and value.rstrip("/").endswith(ending)


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A deprecated key, and its replacement."""

    pattern: Path
    """The key's path; `*` matches any key."""
    replacement: str
    when: Test = _anything
    """Whether a value is deprecated."""
    beside: tuple[str, ...] = ()
    """Applies only in tables with one of these as `type`; empty: in any."""


_VARIANT: Path = ("functions", "*", "variants", "*")
_PROVIDERS: tuple[Path, ...] = (("models", "*", "providers", "*"), ("embedding_models", "*", "providers", "*"))
_N_OF = ("experimental_best_of_n_sampling", "experimental_mixture_of_n")


def _provider(key: str, replacement: str, *types: str, when: Test = _anything) -> tuple[Deprecated, ...]:
    return tuple(Deprecated((*path, key), replacement, when, types) for path in _PROVIDERS)


DEPRECATED: tuple[Deprecated, ...] = (
    Deprecated(
        (*_VARIANT, "weight"),
        'give the function an experimentation: type = "static", candidate_variants = {variant = weight}',
    ),
    *(
        Deprecated(("functions", "*", "experimentation", "type"), f'write type = "{new}"{more}', _is(old))
        for old, new, more in (
            ("static_weights", "static", ""),
            ("uniform", "static", " with candidate_variants as a list"),
            ("track_and_stop", "adaptive", ""),
        )
    ),
    Deprecated(("evaluations", "*"), "move its evaluators into [functions.<function>.evaluators]"),
    Deprecated(("evaluations", "*", "type"), 'write type = "inference"', _is("static")),
    Deprecated(
        (*_VARIANT, "type"),
        'write type = "chat_completion" and let the model reason: reasoning_effort or thinking_budget_tokens',
        _is("experimental_chain_of_thought"),
    ),
    Deprecated((*_VARIANT, "timeout_s"), "set timeouts on the candidate variants", beside=_N_OF),
    Deprecated(("gateway", "template_filesystem_access", "enabled"), "leave it out; base_path alone is enough"),
    Deprecated(
        ("gateway", "observability", "disable_automatic_migrations"),
        "write it as clickhouse.disable_automatic_migrations",
    ),
    Deprecated(("postgres", "enabled"), "leave it out; the gateway's variable TENSORZERO_POSTGRES_URL decides"),
    *_provider("beta_structured_outputs", "leave it out; it is no longer necessary", "anthropic"),
    *_provider("parse_think_blocks", "leave it out", "fireworks", "together"),
    *_provider("allow_auto_detect_region", 'write region = "sdk" instead', "aws_bedrock", "aws_sagemaker"),
    *_provider("api_base", "leave /messages out; the gateway adds it", "anthropic", when=_ends("/messages")),
    *_provider(
        "api_base",
        "leave /chat/completions out; the gateway adds it, and now calls it twice",
        "openai",
        when=_ends("/chat/completions"),
    ),
    *(
        Deprecated((*path, "api_key_location"), "name the variable AZURE_API_KEY", _is("env::AZURE_OPENAI_API_KEY"))
        for path in _PROVIDERS
    ),
    Deprecated(("optimizers", "*", "evaluation_name"), "write evaluator_names", beside=("gepa",)),
)


def deprecated_syntax(tree: Mapping[str, Any]) -> list[Reason]:
    """Return the deprecated keys of a configuration, each with its replacement."""
    return [
        Reason(dotted(path), f"is deprecated: {entry.replacement}")
        for entry in DEPRECATED
        for path in _matching(tree, entry, entry.pattern, ())
    ]


def _matching(table: object, entry: Deprecated, left: Path, path: Path) -> Iterator[Path]:
    if not isinstance(table, Mapping):
        return
    for key in table if left[0] == "*" else [key for key in left[:1] if key in table]:
        if left[1:]:
            yield from _matching(table[key], entry, left[1:], (*path, key))
        elif entry.when(table[key]) and (not entry.beside or table.get("type") in entry.beside):
            yield (*path, key)
