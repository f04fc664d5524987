"""The flow of the whole catalogue: one copy, or every new one. Does no I/O.

Apart from `core.py` because it needs the classes of all rows, and a command that asks one thing does not.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from model_registry.client.catalogue import Catalogue, read_catalogue
from model_registry.client.core import Core, Flow, Pause, Tell
from model_registry.client.requests import Call
from model_registry.errors import RegistryError

log = logging.getLogger(__name__)

_CATALOG = Call("GET", "/api/catalog", read_catalogue)


class CatalogueCore(Core):
    """One registry: requests to it, the last answers, and its catalogue."""

    def catalogue(self, *, wait: float | None = None, offline: bool = True) -> Flow[Catalogue]:
        """Get the whole catalogue; with the registry away the last copy, which knows its age."""
        catalogue = yield from self.ask(_CATALOG, wait=wait, offline=offline)
        kept = self._answers.get(f"{self.url}{_CATALOG.path}?")
        return replace(catalogue, as_of=kept.at if kept else self._clock())

    def follow(self, wait: float, *, news: bool) -> Flow[None]:
        """Tell the catalogue as it is, then every new one, for ever. After an error, it waits and goes on.

        Args:
            wait: for how long the registry holds one answer back, in seconds.
            news: NATS announces changes; then `wait` is how often the registry is asked without one.
        """
        known, trouble = None, 0
        while True:
            try:
                first = known is None
                newest = yield from self.catalogue(wait=None if first or news else wait, offline=False)
                trouble = 0
            except RegistryError as error:
                log.warning("the copy of the catalogue is not being kept current: %s", error.message)
                if known is None and (kept := self._answers.get(f"{self.url}{_CATALOG.path}?")):
                    known = replace(self._value(_CATALOG, kept), as_of=kept.at)
                    yield Tell(known)
                trouble += 1
                yield Pause(min(self._patience.first_pause * 2**trouble, self._patience.longest_pause))
                continue
            if known is None or replace(newest, as_of=0) != replace(known, as_of=0):
                yield Tell(newest)
            known = newest
            if news:
                yield Pause(wait, news=True)
