"""Syntax that the gateway still accepts but deprecates, with its replacement; imports replace some of it themselves.

The table has the warnings of 2026.6.0 while loading. Syntax that it refuses already is a fault, in the other files.
Imports replace what the gateway treats alike; variants' weights and the kinds of static experimentation become
priorities and weights in `importing/functions.py`. All other syntax is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path, Table, dotted

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


def deprecated_syntax(tree: Table) -> list[Reason]:
    """Return the deprecated keys of a configuration, each with its replacement."""
    return [
        Reason(dotted((*path, key)), f"is deprecated: {entry.replacement}")
        for entry in DEPRECATED
        for path, table in tables(tree, *entry.pattern[:-1])
        for key in _keys(table, entry.pattern[-1])
        if entry.when(table[key]) and (not entry.beside or table.get("type") in entry.beside)
    ]


def _keys(table: Table, pattern: str) -> list[str]:
    """Return the keys of a table that match; `*` matches any."""
    return list(table) if pattern == "*" else [pattern] if pattern in table else []


Rewrite = tuple[str, str]
"""Key or file, and the replacement."""


def modernised(tree: Table) -> tuple[Table, list[Rewrite]]:
    """Return a copy of the tree in current syntax, and the replacements."""
    new = copy.deepcopy(tree)
    rewritten = [*_functions(new), *_evaluations(new), *_providers(new), *_gateway(new)]
    return new, rewritten


def tables(tree: Toml, *path: str) -> Iterator[tuple[Path, Table]]:
    """Return the tables at a path in which `*` matches any key."""
    matches: list[tuple[Path, Any]] = [((), tree)]
    for part in path:
        matches = [
            ((*at, key), value[key]) for at, value in matches if isinstance(value, dict) for key in _keys(value, part)
        ]
    return ((at, value) for at, value in matches if isinstance(value, dict))


def _functions(tree: Table) -> Iterator[Rewrite]:
    for path, function in tables(tree, "functions", "*"):
        for pattern in (("experimentation",), ("experimentation", "namespaces", "*")):
            for below, table in tables(function, *pattern):
                if table.get("type") == "track_and_stop":
                    # The default algorithm of `adaptive`.
                    table["type"] = "adaptive"
                    yield dotted((*path, *below)), "track_and_stop -> adaptive"
        yield from _timeouts(path, function)


def _timeouts(path: Path, function: Table) -> Iterator[Rewrite]:
    """Move `timeout_s` of best-of-n and mixture-of-n to the candidates, as the gateway does."""
    for below, variant in list(tables(function, "variants", "*")):
        seconds, names = variant.get("timeout_s"), variant.get("candidates")
        variants: Table = function["variants"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isinstance(names, list):
            continue
        candidates = [variants.get(name) if isinstance(name, str) else None for name in names]
        fresh = [c for c in candidates if isinstance(c, dict) and "timeouts" not in c]
        if len(fresh) < len(names) or len(set(names)) < len(names) or not 0 < seconds * 1000 < 2**63:
            continue  # the gateway refuses it; so do the rules
        milliseconds = int(seconds * 1000)
        for candidate in fresh:
            candidate["timeouts"] = {
                "non_streaming": {"total_ms": milliseconds},
                "streaming": {"ttft_ms": milliseconds},
            }
        del variant["timeout_s"]
        yield dotted((*path, *below)), f"timeout_s -> timeouts of {', '.join(names)}"


def _evaluations(tree: Table) -> Iterator[Rewrite]:
    for path, table in tables(tree, "evaluations", "*"):
        if table.get("type") == "static":
            table["type"] = "inference"
            yield dotted(path), "evaluation of type static -> inference"


def _providers(tree: Table) -> Iterator[Rewrite]:
    for path, table in tables(tree, "models", "*", "providers", "*"):
        kind = table.get("type")
        base = table.get("api_base")
        if kind == "anthropic" and isinstance(base, str) and base.rstrip("/").endswith("/messages"):
            table["api_base"] = base.rstrip("/").removesuffix("/messages")
            yield dotted(path), "api_base without /messages, which the gateway adds itself"
        automatic = str(kind).startswith("aws_") and table.get("allow_auto_detect_region") is True
        if automatic and table.get("region", "sdk") == "sdk":
            del table["allow_auto_detect_region"]
            table["region"] = "sdk"
            yield dotted(path), 'allow_auto_detect_region -> region = "sdk"'


def _gateway(tree: Table) -> Iterator[Rewrite]:
    for path, table in tables(tree, "gateway", "observability"):
        old = table.get("disable_automatic_migrations")
        clickhouse = tree.get("clickhouse", {})
        if (
            old is True
            and isinstance(clickhouse, Mapping)
            and clickhouse.get("disable_automatic_migrations") is not True
        ):
            del table["disable_automatic_migrations"]
            tree["clickhouse"] = {**clickhouse, "disable_automatic_migrations": True}
            yield dotted(path), "disable_automatic_migrations -> clickhouse.disable_automatic_migrations"
