"""Tracks the state of one model server from its answers and its silence. Makes no requests: answers are arguments."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from model_registry.node_agent.messages import Listed
from model_registry.node_agent.model_server import LoadedModel, ModelServer, NoAnswer

log = logging.getLogger(__name__)

PATIENCE = 3
"""Consecutive timeouts after which a server is considered gone. Before that it may be busy."""


@dataclass(slots=True)
class Watch:
    """One server, and the state to report to the registry."""

    server: ModelServer
    endpoint: str
    """The URL at which others reach it."""
    models: dict[str, Listed] = field(default_factory=dict)
    """The models loaded at its last answer; in error while it is gone."""
    available: list[str] = field(default_factory=list)
    """The models that it could load, at its last answer."""
    gone: str | None = None
    """Why it is considered gone."""
    conclusive: bool = False
    """Whether its state is known: until then a status message would report its models as unloaded."""
    trouble: str | None = None
    """Why the last request failed."""
    _missed: int = 0

    def answered(self, loaded: Iterable[LoadedModel], now: float) -> None:
        """Note the loaded models."""
        if self.gone is not None:
            log.info("%s at %s answers again", self.server.name, self.server.url)
        known = self.models
        self.models = {
            model.key: Listed(model, self.endpoint, known[model.key].since if model.key in known else now)
            for model in loaded
        }
        self.gone, self.trouble, self.conclusive, self._missed = None, None, True, 0

    def missed(self, why: NoAnswer) -> None:
        """Note a failed request. Models of a server that is gone are in error: loaded, and unreachable."""
        self._missed += 1
        self.trouble = f"{self.server.name} at {self.server.url} does not answer: {why}"
        if self.gone is not None or (not why.down and self._missed < PATIENCE):
            return
        self.gone, self.conclusive = f"{self.server.name} does not answer: {why}", True
        self.models = {key: replace(listed, error=self.gone) for key, listed in self.models.items()}
        log.warning("%s; %d models are in error", self.trouble, len(self.models))
