"""The agent beside a gateway: rolls out the registry's configuration, and rolls back if the gateway does not come up.

A rollout lasts from the moment a bundle is the current one until the gateway has been healthy for a while. Newer
bundles do not wait for its end. `bundle_source.py` fetches bundles, `bundle_directory.py` keeps them,
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
from model_registry.gateway_agent.environment import GatewayEnvironment
from model_registry.gateway_agent.gateway_process import LocalGateway, NotificationFailed
from model_registry.messaging.change_notifier import ChangeNotifier

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.25
"""Between two health checks during a rollout."""
_AFTER_NEWS_SECONDS = 5.0
"""How long one question waits while something is on its way, and NATS announces more."""
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class AgentTimeouts:
    """Timeouts, in seconds."""

    wait: float = 30.0
    """For a change, in one question."""
    settle: float = 3.0
    """For how long a gateway must be healthy to have come up. Longer than it takes the old one to end."""
    health: float = 30.0
    """Until it must have."""


@dataclass(slots=True)
class _Rollout:
    """A bundle that the gateway was notified of."""

    etag: str
    began: float
    healthy_since: float | None = None


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
        environment: GatewayEnvironment | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._directory = directory
        self._gateway = gateway
        self._patience = patience or AgentTimeouts()
        self._news = news
        self._environment = environment
        self._held: Bundle | None = None
        """What the gateway cannot start with, because a variable is missing."""
        self._reported: tuple[frozenset[str], frozenset[str]] | None = None
        self._clock = clock
        self._sleep = sleep
        self._retry = _FIRST_RETRY_SECONDS
        self._due = True
        self._rollout: _Rollout | None = None

    def once(self) -> None:
        """Bring the directory up to date, finish the rollout, and return.

        If the registry cannot be reached and there is a bundle, that one is kept.

        Raises:
            RegistryError: nothing could be fetched, and nothing is there.
            OSError: nothing could be written, and nothing is there.
        """
        try:
            self._resume()
            self._take(self._source.fetch(self._known()))
            if self._report():  # then the registry may have another
                self._take(self._source.fetch(self._known()))
        except (RegistryError, OSError) as error:
            if self._directory.current is None:
                raise
            log.warning("keeping the last bundle: %s", error)
        while self._rollout is not None:
            self._check()
            if self._rollout is not None:
                self._sleep(_POLL_SECONDS)
        if self._directory.current in (None, self._directory.remembered.failed):
            raise RegistryUnreachable(f"There is no bundle that the gateway came up with{self._why_held()}")

    def run(self) -> None:
        """Follow the registry forever."""
        while True:
            try:
                self._resume()
                break
            except OSError as error:
                self._trouble(error)
        while True:
            self.step()

    def step(self) -> None:
        """Ask once; roll out what came, and check the gateway."""
        try:
            self._take(self._next())
            self._due = self._report()
            self._retry = _FIRST_RETRY_SECONDS
        except (RegistryError, OSError) as error:
            self._trouble(error)
        try:
            self._check()  # whether or not the registry answers
        except OSError as error:
            self._trouble(error)
        if self._rollout is not None:
            self._sleep(_POLL_SECONDS)

    def _next(self) -> Bundle | None:
        """Ask for another bundle, after waiting for one unless a rollout has to be checked."""
        known = self._known()
        if self._rollout is not None:
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
        """The ETags of bundles that need not be sent again: the current one, the one held, and the one that failed."""
        held = self._held.etag if self._held else None
        return [etag for etag in (self._directory.current, held, self._directory.remembered.failed) if etag]

    def _take(self, bundle: Bundle | None) -> None:
        if bundle is None and self._held is not None and self._held.etag == self._source.etag:
            bundle = self._held
        was, self._held = self._held, None
        if bundle is None:
            return
        if self._environment and (missing := self._environment.missing(bundle.variables)):
            self._held = bundle
            if bundle is not was:
                log.error("not switching to bundle %s: not set for the gateway: %s", bundle.etag, ", ".join(missing))
            return
        self._directory.add(bundle)
        log.info("bundle %s of revision %s: %d files", bundle.etag, bundle.revision, len(bundle.files))
        self._roll_out(bundle.etag)

    def _report(self) -> bool:
        """Report the variables that the registry asks about, if they are others than last time; whether it was done."""
        if self._environment is None or not self._environment.report or not self._source.wanted:
            return False
        missing = frozenset(self._environment.missing(self._source.wanted))
        news = self._source.wanted - missing, missing
        if news == self._reported:
            return False
        try:
            self._source.report(*news)
        except RegistryError as error:
            log.warning("the gateway's variables could not be reported: %s", error)
            return False
        self._reported = news
        log.info("reported: set %s; missing %s", *(", ".join(sorted(names)) or "nothing" for names in news))
        return True

    def _why_held(self) -> str:
        if self._held is None or self._environment is None:
            return ""
        return f": not set for it: {', '.join(self._environment.missing(self._held.variables))}"

    def _roll_out(self, etag: str) -> None:
        # Noted before it counts: an agent that is killed now resumes the rollout at its next start.
        self._directory.note(trial=etag, failed=None)
        self._directory.switch(etag)
        self._rollout = _Rollout(etag, self._clock())
        try:
            self._gateway.notify(self._directory.path / "current")
        except NotificationFailed as error:
            self._failed(str(error))
        else:
            self._check()

    def _check(self) -> None:
        """Check the gateway's health, and end the rollout when it is time to."""
        rollout, now = self._rollout, self._clock()
        if rollout is None:
            return
        if not self._gateway.is_healthy():
            rollout.healthy_since = None
        elif rollout.healthy_since is None:
            rollout.healthy_since = now
        if self._gateway.health is None or (
            rollout.healthy_since is not None and now - rollout.healthy_since >= self._patience.settle
        ):
            self._rollout = None
            self._directory.note(good=rollout.etag, trial=None)
            self._directory.tidy()
            log.info("bundle %s is in use", rollout.etag)
        elif now - rollout.began >= self._patience.health:
            self._failed(f"the gateway was not healthy within {self._patience.health:g} s ({self._gateway.health})")

    def _failed(self, why: str) -> None:
        """Roll back to the last good bundle; this one is not tried again until the registry serves another."""
        rollout, good = self._rollout, self._directory.remembered.good
        if rollout is None:
            return
        self._rollout = None
        back = good if good and good != rollout.etag and self._directory.has(good) else None
        outcome = f"rolling back to {back}" if back else "no bundle to roll back to"
        log.error("bundle %s failed, %s: %s", rollout.etag, outcome, why)
        if back is not None:
            self._directory.switch(back)
        self._directory.note(trial=None, failed=rollout.etag)
        self._directory.tidy()
        if back is not None:
            try:
                self._gateway.notify(self._directory.path / "current")
            except NotificationFailed as error:
                log.error("the gateway could not be notified of the rollback: %s", error)  # noqa: TRY400 (says it all)

    def _resume(self) -> None:
        """Resume a rollout that a restart has interrupted."""
        rollout = self._directory.remembered.trial
        if rollout is not None and self._directory.has(rollout):
            self._roll_out(rollout)

    def _trouble(self, error: Exception) -> None:
        """Log it, and wait before the next attempt: longer each time, up to 10 s. The current bundle stays."""
        log.warning("keeping the current bundle; retrying: %s", error)
        if self._rollout is None:
            self._sleep(self._retry)
            self._retry = min(self._retry * 2, _LAST_RETRY_SECONDS)
