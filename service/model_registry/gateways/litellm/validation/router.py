"""LiteLLM's own Router, asked about what it has not seen. Only for the process that is shut in (`validator_child.py`).

An entry is checked once: what the Router makes of it depends on nothing but the entry. At 10,000 entries a whole
check takes a minute of processor time, and that of one change milliseconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import Reason
from model_registry.gateways.litellm.config import MODEL_LIST, Table, as_table, dotted, variable_of
from model_registry.gateways.litellm.validation.parts import Part, Parts
from model_registry.gateways.tensorzero.validation.dummy_credentials import is_reserved

_BATCH = 200
_LONGEST = 500
_DUMMY = "not-a-key"
_DUMMIES = {"api_base": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9", "model": "openai/not-a-model"}
"""By the key of `litellm_params`: what a variable holds there, so that LiteLLM can read it."""
_NOT_ASKED = ("redis_", "cache_", "plugins", "polling_interval", "alerting_config", "optional_pre_call_checks")
"""Starts of settings that would connect to something, or import code of the one who wrote them."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


@dataclass(slots=True)
class RouterCheck:
    """Checks one configuration after another."""

    _accepted: set[str] = field(default_factory=set)
    """Texts of entries."""
    _settings: dict[str, Reason | None] = field(default_factory=dict)

    def check(self, parts: Parts) -> list[Reason]:
        """Return what LiteLLM refuses."""
        skipped = _providers_of_ones_own(parts.tree)
        new = [part for part in parts.entries if part.text not in self._accepted and not _starts(part.entry, skipped)]
        reasons = []
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            if _refusal([part.entry for part in batch]) is None:
                self._accepted.update(part.text for part in batch)
            else:
                reasons += list(self._one_by_one(batch))
        if (reason := self._of_settings(parts.tree)) is not None:
            reasons.append(reason)
        self._accepted &= {part.text for part in parts.entries}
        return reasons

    def _one_by_one(self, batch: Sequence[Part]) -> Iterator[Reason]:
        for part in batch:
            refusal = _refusal([part.entry])
            if refusal is None:
                self._accepted.add(part.text)
            else:
                entry = part.entry
                found = as_table(entry.get("model_info")).get("id")
                where = (MODEL_LIST, entry["model_name"], *([str(found)] if found is not None else []))
                yield Reason(dotted(where), f"LiteLLM refuses it: {refusal}")

    def _of_settings(self, tree: Table) -> Reason | None:
        settings = _asked(as_table(tree.get("router_settings")))
        text = repr(settings)
        if text not in self._settings:
            refusal = _refusal([], **settings) if settings else None
            reason = Reason("router_settings", f"LiteLLM refuses them: {refusal}") if refusal else None
            self._settings = {text: reason}
        return self._settings[text]


def _providers_of_ones_own(tree: Table) -> tuple[str, ...]:
    """Return the prefixes that the Router cannot know: of code that only the proxy loads, or of other libraries."""
    listed = as_table(tree.get("litellm_settings")).get("custom_provider_map")
    own = [entry.get("provider") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return ("auto_router/", *(f"{name}/" for name in own if isinstance(name, str)))


def _starts(entry: Table, prefixes: tuple[str, ...]) -> bool:
    params = entry["litellm_params"]
    return str(params["model"]).startswith(prefixes) or f"{params.get('custom_llm_provider')}/" in prefixes


def unknown_settings(tree: Table) -> list[Reason]:
    """Return warnings about settings that this version of the Router ignores."""
    from litellm.router import Router  # noqa: PLC0415 (it takes seconds, and only what is shut in imports it)

    known = set(Router.get_valid_args())
    names = [name for name in as_table(tree.get("router_settings")) if name not in known]
    return [
        Reason(f"router_settings.{name}", "LiteLLM ignores this: its Router knows no such setting") for name in names
    ]


def _asked(settings: Table) -> Table:
    from litellm.router import Router  # noqa: PLC0415 (as above)

    known = set(Router.get_valid_args()) - {MODEL_LIST}
    return {name: value for name, value in settings.items() if name in known and not name.startswith(_NOT_ASKED)}


def _refusal(entries: list[Table], **settings: Any) -> str | None:  # noqa: ANN401 (whatever people write)
    """Return why the Router cannot be made of these, or None."""
    import litellm  # noqa: PLC0415 (as above)
    from litellm.router import Router  # noqa: PLC0415 (as above)
    from litellm.types.router import RouterGeneralSettings  # noqa: PLC0415 (as above)

    for entry in entries:
        for key, value in entry["litellm_params"].items():
            if (name := variable_of(value)) and _NAME.fullmatch(name) and not is_reserved(name):
                os.environ[name] = _DUMMIES.get(key, _DUMMY)
    prices = dict(litellm.model_cost)
    try:
        router = Router(
            model_list=entries,
            ignore_invalid_deployments=False,  # the proxy drops them without a word
            router_general_settings=RouterGeneralSettings(async_only_mode=True),
            **settings,
        )
        router.discard()
    except Exception as error:  # noqa: BLE001 (whatever LiteLLM raises is its refusal)
        return _short(str(error)) or type(error).__name__
    finally:
        # Each entry adds its prices, and is compared with all of them: 10,000 would take ten minutes.
        litellm.model_cost.clear()
        litellm.model_cost.update(prices)
    return None


def _short(message: str) -> str:
    text = " ".join(mask_secrets(message).split()).removeprefix("litellm.BadRequestError: ")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
