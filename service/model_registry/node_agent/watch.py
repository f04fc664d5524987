"""The believed state of one model server, from its answers and its silence. Does no I/O: answers come in."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from model_registry.node_agent.messages import Listed
from model_registry.node_agent.model_server import LoadedModel, ModelServer, NoAnswer

log = logging.getLogger(__name__)

PATIENCE = 3
"""A server that misses this many answers in a row is believed to be gone; one that misses fewer may be busy."""


@dataclass(slots=True)
class Watch:
    """One server, and the state of it to report."""

    server: ModelServer
    endpoint: str
    """The URL at which others reach it."""
    models: dict[str, Listed] = field(default_factory=dict)
    """The models in its last answer; in error while it is gone."""
    available: list[str] = field(default_factory=list)
    """The models that it could load, as of its last answer."""
    gone: str | None = None
    """Why it is believed to be gone."""
    conclusive: bool = False
    """Whether anything is known yet. Until then nothing is reported: silence would be taken for an empty server."""
    trouble: str | None = None
    """Why it did not answer the last question."""
    _missed: int = 0

    def answered(self, loaded: Iterable[LoadedModel], now: float) -> None:
        """Take an answer: the loaded models."""
        if self.gone is not None:
            log.info("%s at %s answers again", self.server.name, self.server.url)
        known = self.models
        self.models = {
            model.key: Listed(model, self.endpoint, known[model.key].since if model.key in known else now)
            for model in loaded
        }
        self.gone, self.trouble, self.conclusive, self._missed = None, None, True, 0

    def missed(self, why: NoAnswer) -> None:
        """Take a missing answer. Models of a server that is gone are in error: they were loaded, and do not answer."""
        self._missed += 1
        self.trouble = f"{self.server.name} at {self.server.url} does not answer: {why}"
        if self.gone is not None or (not why.down and self._missed < PATIENCE):
            return
        self.gone, self.conclusive = f"{self.server.name} does not answer: {why}", True
        self.models = {key: replace(listed, error=self.gone) for key, listed in self.models.items()}
        log.warning("%s; %d models are in error", self.trouble, len(self.models))
