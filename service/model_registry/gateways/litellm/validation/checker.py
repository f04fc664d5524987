"""Validates what is rendered for a LiteLLM gateway: by the rules, and by LiteLLM's Router where it is installed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from model_registry.errors import NotConfined, Reason
from model_registry.gateways.json_lines_child import JsonLinesChild, python_child
from model_registry.gateways.kind import Files
from model_registry.gateways.litellm.rendering.render import MAIN_FILE

_CHILD = "model_registry.gateways.litellm.validation.validator_child"
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # not the one of a server
    "LITELLM_MODE": "PRODUCTION",  # reads no .env
    "LITELLM_LOG": "CRITICAL",
    "PYTHONDONTWRITEBYTECODE": "1",
}
TIMEOUT_S = 60.0
"""For a check, of which LiteLLM's import takes five seconds."""
_PER_BYTE_S = 0.2e-3
"""More for a large configuration: an entry of 230 bytes takes six milliseconds."""

CRASHED = Reason("", "the check crashes or hangs on this configuration")


@dataclass(frozen=True, slots=True)
class LiteLLMFindings:
    """The result of a validation."""

    faults: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    by_loader: bool = False
    """Whether LiteLLM was asked."""
    by_rules: tuple[str, ...] = ()
    """The sections that only its proxy reads: the rules alone checked them."""

    @property
    def accepted(self) -> bool:
        """Whether neither the rules nor LiteLLM refuse it."""
        return not self.faults

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why not."""
        return self.faults

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end."""
        return CRASHED in self.faults


class LiteLLMChecker:
    """One validator process, kept warm, and replaced after a crash."""

    def __init__(self, ask_litellm: bool = True, *, timeout_s: float = TIMEOUT_S, niceness: int = 0) -> None:  # noqa: FBT001, FBT002 (of the protocol)
        """`ask_litellm`: whether its Router is asked besides the rules, where it is installed."""
        found = litellm_version() if ask_litellm else None
        self._loader = f"litellm {found}" if found else None
        self._timeout_s = timeout_s
        self._child = JsonLinesChild(
            lambda directory: python_child(_CHILD, os.path.realpath(directory), niceness),
            environment=_ENVIRONMENT,  # no variable of the service is any business of what is checked
            stderr=subprocess.DEVNULL,
            group=True,
        )
        self._one = threading.Lock()

    @property
    def loader(self) -> str | None:
        """LiteLLM with its version."""
        return self._loader

    async def check(self, files: Files, *, loader: bool) -> LiteLLMFindings:
        """Validate these files. Never on the event loop.

        Timeout: a minute, and a minute more for each 300 kB. Errors: NotConfined.
        """
        return await asyncio.to_thread(self.check_now, files, loader=loader)

    def check_now(self, files: Files, *, loader: bool) -> LiteLLMFindings:
        """Do so in this thread."""
        asked = loader and self._loader is not None
        text = files[MAIN_FILE].decode("utf-8", "replace")
        with self._one:
            timeout_s = self._timeout_s + len(text) * _PER_BYTE_S
            answer: dict[str, Any] | None = self._child.ask({"text": text, "loader": asked}, timeout_s, json.loads)
        if answer is None:
            return LiteLLMFindings((CRASHED,))
        if "unconfined" in answer:
            raise NotConfined(f"Nothing is checked: {answer['unconfined']}")
        faults, warnings = (tuple(Reason(**reason) for reason in answer[key]) for key in ("faults", "warnings"))
        return LiteLLMFindings(faults, warnings, answer["by_loader"])

    def close(self) -> None:
        """End the check that is going on, and the process. Blocks."""
        self._child.close()


def litellm_version() -> str | None:
    """Return the version of LiteLLM that validates here; None without the extra `litellm`."""
    try:
        return version("litellm")
    except PackageNotFoundError:
        return None
