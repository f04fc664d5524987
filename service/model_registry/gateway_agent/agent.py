"""The agent beside a gateway: brings the registry's configuration to it, and goes back when it does not come up.

A bundle is on trial from the moment it is the current one until the gateway has been well for a while. Newer bundles do
not wait for the end of a trial. `bundle_source.py` fetches bundles, `bundle_directory.py` keeps them,
`gateway_process.py` notifies the gateway.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from model_registry.errors import RegistryError, RegistryUnreachable
from model_registry.gateway_agent.bundle_directory import BundleDirectory
from model_registry.gateway_agent.bundle_source import Bundle, BundleSource
from model_registry.gateway_agent.gateway_process import LocalGateway, NotTold
from model_registry.messaging.change_notifier import ChangeNotifier

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.25
"""Between two looks at a gateway on trial."""
_AFTER_NEWS_SECONDS = 5.0
"""How long one question waits while something is on its way, and NATS is there to tell of more."""
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class AgentTimeouts:
    """Timeouts, in seconds."""

    wait: float = 30.0
    """For a change, in one question."""
    settle: float = 3.0
    """For how long a gateway must be well to have come up. Longer than it takes the old one to go."""
    health: float = 30.0
    """Until it must have."""


@dataclass(slots=True)
class _Rollout:
    """A bundle that the gateway was notified of."""

    etag: str
    began: float
    well_since: float | None = None


class Agent:
    """Keeps one directory, and the gateway that reads it, at what the registry serves."""

    def __init__(  # noqa: PLR0913 (its parts, by name)
        self,
        source: BundleSource,
        directory: BundleDirectory,
        gateway: LocalGateway,
        *,
        patience: AgentTimeouts | None = None,
        news: ChangeNotifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._directory = directory
        self._gateway = gateway
        self._patience = patience or AgentTimeouts()
        self._news = news
        self._clock = clock
        self._sleep = sleep
        self._retry = _FIRST_RETRY_SECONDS
        self._due = True
        self._trial: _Rollout | None = None

    def once(self) -> None:
        """Bring the directory up to date, see a trial to its end, and return.

        With the registry away and a bundle there, that one is kept, and all is well.

        Raises:
            RegistryError: nothing could be fetched, and nothing is there.
            OSError: nothing could be written, and nothing is there.
        """
        try:
            self._resume()
            self._take(self._source.fetch(self._known()))
        except (RegistryError, OSError) as error:
            if self._directory.current is None:
                raise
            log.warning("keeping the last bundle: %s", error)
        while self._trial is not None:
            self._look()
            if self._trial is not None:
                self._sleep(_POLL_SECONDS)
        if self._directory.current in (None, self._directory.remembered.failed):
            raise RegistryUnreachable("There is no bundle that the gateway came up with")

    def run(self) -> None:
        """Follow the registry for ever."""
        while True:
            try:
                self._resume()
                break
            except OSError as error:
                self._trouble(error)
        while True:
            self.step()

    def step(self) -> None:
        """Ask once, and do what is to be done."""
        try:
            self._take(self._next())
            self._due = False
            self._retry = _FIRST_RETRY_SECONDS
        except (RegistryError, OSError) as error:
            self._trouble(error)
        try:
            self._look()  # whether or not the registry answers
        except OSError as error:
            self._trouble(error)
        if self._trial is not None:
            self._sleep(_POLL_SECONDS)

    def _next(self) -> Bundle | None:
        """Ask for another bundle, after waiting for one unless a trial wants to be looked at."""
        known = self._known()
        if self._trial is not None:
            return self._source.fetch(known, wait=0)
        if self._news is None:
            return self._source.fetch(known, wait=self._patience.wait)
        # Noted, so that a question that fails is asked again; and without a change it looks from time to time as well.
        self._due = self._due or self._on_its_way(self._news) or self._news.wait(self._patience.wait)
        return self._source.fetch(known, wait=_AFTER_NEWS_SECONDS if self._due else 0)

    def _on_its_way(self, news: ChangeNotifier) -> bool:
        """Whether a bundle may come without a further announcement: validating takes longer than a question."""
        return not news.receiving or self._source.pending or self._source.validated < news.revision

    def _known(self) -> list[str]:
        """What need not come again: the current one, and the one that failed."""
        return [etag for etag in (self._directory.current, self._directory.remembered.failed) if etag]

    def _take(self, bundle: Bundle | None) -> None:
        if bundle is None:
            return
        self._directory.add(bundle)
        log.info("bundle %s of revision %s: %d files", bundle.etag, bundle.revision, len(bundle.files))
        self._try(bundle.etag)

    def _try(self, etag: str) -> None:
        # Noted before it counts: an agent that is killed now goes on with the trial when it is back.
        self._directory.note(trial=etag, failed=None)
        self._directory.switch(etag)
        self._trial = _Rollout(etag, self._clock())
        try:
            self._gateway.tell(self._directory.path / "current")
        except NotTold as error:
            self._failed(str(error))
        else:
            self._look()

    def _look(self) -> None:
        """Look how the gateway is, and decide if it is time to."""
        trial, now = self._trial, self._clock()
        if trial is None:
            return
        if not self._gateway.is_well():
            trial.well_since = None
        elif trial.well_since is None:
            trial.well_since = now
        if self._gateway.health is None or (
            trial.well_since is not None and now - trial.well_since >= self._patience.settle
        ):
            self._trial = None
            self._directory.note(good=trial.etag, trial=None)
            self._directory.tidy()
            log.info("bundle %s is in use", trial.etag)
        elif now - trial.began >= self._patience.health:
            self._failed(f"the gateway was not well within {self._patience.health:g} s ({self._gateway.health})")

    def _failed(self, why: str) -> None:
        """Go back to the last good bundle; this one is not tried again until the registry serves another."""
        trial, good = self._trial, self._directory.remembered.good
        if trial is None:
            return
        self._trial = None
        back = good if good and good != trial.etag and self._directory.has(good) else None
        log.error(
            "bundle %s failed, %s: %s", trial.etag, f"going back to {back}" if back else "none to go back to", why
        )
        if back is not None:
            self._directory.switch(back)
        self._directory.note(trial=None, failed=trial.etag)
        self._directory.tidy()
        if back is not None:
            try:
                self._gateway.tell(self._directory.path / "current")
            except NotTold as error:
                log.error("the gateway could not be notified to go back: %s", error)  # noqa: TRY400 (says it all)

    def _resume(self) -> None:
        """Go on with a trial that a restart has interrupted."""
        trial = self._directory.remembered.trial
        if trial is not None and self._directory.has(trial):
            self._try(trial)

    def _trouble(self, error: Exception) -> None:
        """Say it, and wait before the next try: longer each time, up to 10 s. Whatever is there stays."""
        log.warning("keeping what is there, and trying again: %s", error)
        if self._trial is None:
            self._sleep(self._retry)
            self._retry = min(self._retry * 2, _LAST_RETRY_SECONDS)
