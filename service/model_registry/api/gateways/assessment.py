"""What a gateway would get at another revision: looked at before it is moved there.

Rendered from the revision's catalogue and the fleet of now, and checked by rules and the gateway's own loader in a
process of its own, as publishing does it; nothing that is published waits for it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.requests import Request

from model_registry.api.app_state import AppState
from model_registry.api.check_slots import CheckerJob
from model_registry.api.gateways.named_gateway import NamedGateway
from model_registry.entities.gateway import Gateway
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.bundle import files_diff
from model_registry.gateways.kind import Checker, Files, Variable
from model_registry.gateways.publishing.exclusions import Exclusion
from model_registry.gateways.publishing.pins import with_fleet_of
from model_registry.gateways.publishing.publishable import Selector
from model_registry.gateways.publishing.published import Published
from model_registry.gateways.scope import carried_difference
from model_registry.snapshot.difference import RowChange

_NOTHING = Published()


@dataclass(frozen=True, slots=True)
class Assessment:
    """What became of the look at another revision."""

    revision: int
    files: Files
    """Without the rows that are refused; of a configuration that is refused, all of it."""
    reasons: tuple[Reason, ...]
    """Why all of it is refused."""
    excluded: tuple[Exclusion, ...]
    """The rows that would be left out, because validation refuses them."""
    variables: tuple[Variable, ...]
    """The environment variables that it names."""
    missing: tuple[Variable, ...]
    """Those without which something is left out."""
    changes: list[RowChange]
    """What differs of the rows that the gateway carries from what it has now."""
    text: str
    """The difference of its files from what is served now, as `diff -u` shows it."""

    @property
    def accepted(self) -> bool:
        """Whether all of it is accepted."""
        return not self.reasons and not self.excluded

    def refuse(self, gateway: Gateway, *, leave_out: bool) -> None:
        """Refuse what is not accepted; with `leave_out` only what is refused as a whole.

        Raises:
            InvalidConfiguration: with the reasons.
        """
        if self.reasons:
            message = f"{gateway.name} stays where it is: the configuration of revision {self.revision} is refused."
            raise InvalidConfiguration(message, reasons=self.reasons)
        if self.excluded and not leave_out:
            reasons = [Reason(f"{row.kind} {row.name}", row.reason) for row in self.excluded]
            raise InvalidConfiguration(
                f"{gateway.name} stays where it is: validation refuses rows of revision {self.revision}. Mend them and "
                "promote the revision that comes of it, or send leave_out_refused to have it without these rows.",
                reasons=reasons,
            )

    def lacking(self, gateway: Gateway) -> list[Variable]:
        """The variables that it names and the gateway's environment has not, as far as that is known."""
        there = gateway.environment
        return [] if there is None else [variable for variable in self.variables if variable.name not in there]


async def assess(
    request: Request, caller: str, state: AppState, gateway: NamedGateway, revision: int
) -> Assessment | None:
    """Look at what a gateway would get at a revision; None when the caller has left.

    Takes what a check takes: 20 ms to seconds, 60 s at most.
    Errors: RevisionNotFound, RevisionGone, TooManyRequests, NotConfined; StorageUnavailable.
    """
    then = await state.history.at(revision)
    pinned = gateway.row.pinned_revision
    now = state.registry.snapshot if pinned is None else await state.history.at(pinned)
    renderer, kind = gateway.publisher.renderer.twin(), gateway.kind
    catalogue = with_fleet_of(state.registry.snapshot, then)
    damped = await asyncio.to_thread(renderer.damped, catalogue, gateway.row, time.time())
    checker = kind.make_checker(gateway.publisher.loader is not None)
    selector = Selector(renderer, checker, gateway.row, publish=state.settings.publish)
    selector.start(_NOTHING)

    async def select(own: Checker) -> Published:
        return (await selector.select(damped.snapshot, _NOTHING, loader=own.loader is not None))[0]

    found = await state.checks.check(request, caller, CheckerJob(checker, select))
    if found is None:
        return None
    files = found.served.files if found.served else found.refused.files if found.refused else {}
    served = gateway.publisher.delivery.served
    labels = f"revision {served.revision if served else 0}", f"revision {then.revision}"
    changes = await asyncio.to_thread(carried_difference, gateway.row, now, then)
    text = await asyncio.to_thread(files_diff, served.files if served else {}, files, labels, kind.main_file)
    return Assessment(
        revision=then.revision,
        files=files,
        reasons=found.refused.reasons if found.refused else (),
        excluded=found.excluded,
        variables=found.served.variables if found.served else (),
        missing=found.missing,
        changes=changes,
        text=text,
    )
