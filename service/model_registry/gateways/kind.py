"""What a gateway kind is: how it renders, how it validates a configuration, and what it knows of the rows at fault.

One instance a kind, in the package of the kind; `publishing/` does the rest, once for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from model_registry.entities.base import Row
from model_registry.entities.change import Change, Operation
from model_registry.entities.gateway import Gateway
from model_registry.entities.provider import Provider
from model_registry.errors import Reason
from model_registry.gateways.omission import Omission
from model_registry.gateways.publishing.exclusions import Settings
from model_registry.gateways.publishing.fault_search import Suspects
from model_registry.snapshot.snapshot import Snapshot

Files = Mapping[str, bytes]
"""Path below the bundle's directory -> content."""


@dataclass(frozen=True, slots=True, order=True)
class Variable:
    """An environment variable that a configuration names: a gateway may refuse to start without it."""

    name: str
    needed_by: tuple[str, ...]
    """What names it, in words: `provider openai`."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered configuration."""

    files: Files
    omitted: tuple[Omission, ...] = ()
    variables: tuple[Variable, ...] = ()
    """The environment variables that it names, by name."""
    missing: tuple[Variable, ...] = ()
    """Those without which something is left out: they are not set where the gateway runs (`environment.py`)."""
    reasons: tuple[Reason, ...] = ()
    """Why it must not be served, whatever the gateway's loader says of it."""


class Renderer(Protocol):
    """Renders the configurations of one gateway, one after the other, and keeps what makes the next one cheap.

    For one caller at a time. Otherwise pure: equal rows give equal bytes.
    """

    def render(self, snapshot: Snapshot, gateway: Gateway) -> Rendered:
        """Render a snapshot of what the gateway carries (`scope.py`)."""


class Findings(Protocol):
    """The result of a validation."""

    @property
    def accepted(self) -> bool:
        """Whether neither the rules nor the gateway's loader refuse it."""

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why not."""

    @property
    def warnings(self) -> Sequence[Reason]:
        """What is accepted, and probably not meant."""

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end."""

    @property
    def by_loader(self) -> bool:
        """Whether the gateway's own loader was asked."""

    @property
    def by_rules(self) -> Sequence[str]:
        """Keys of the parts that only the rules checked."""


class Checker(Protocol):
    """Validates the configurations of one gateway, one at a time. A hanging one holds up no other gateway."""

    @property
    def loader(self) -> str | None:
        """The loader that is asked, with its version; None leaves it to the rules."""

    async def check(self, files: Files, *, loader: bool) -> Findings:
        """Validate these files; with `loader=False` by the rules alone. Never on the event loop."""

    def close(self) -> None:
        """End the check that is going on, and its processes. Blocks."""


def key_variables(_snapshot: Snapshot, row: Row) -> tuple[str, ...]:
    """Return the variable of a provider's key."""
    return (row.api_key_env_var,) if isinstance(row, Provider) and row.active and row.api_key_env_var else ()


@dataclass(frozen=True, slots=True)
class GatewayKind:
    """A kind of gateway."""

    name: str
    main_file: str
    """The file that its loader is pointed to."""
    media_type: str
    """Of the main file."""
    tables: frozenset[str]
    """The tables that a configuration is made of."""
    make_renderer: Callable[[], Renderer]
    make_checker: Callable[[bool], Checker]
    """Whether its own loader is asked, where it is installed."""
    make_suspects: Callable[[Callable[[], Settings | None]], Suspects]
    """Given the settings that were accepted last."""
    settings_of: Callable[[Snapshot], Settings]
    """The settings of the gateway itself, which are never left out."""
    concerns: Callable[[Snapshot, Snapshot, Sequence[Change]], bool]
    """Whether a step of the registry may change the configuration; cheap."""
    relevant: Callable[[Snapshot, Sequence[Operation]], list[Operation]]
    """Returns those operations of a write, before it happens, that may break a configuration."""
    refuse: Callable[[Snapshot, Snapshot, Sequence[Operation]], None]
    """Refuses a write that would break a configuration, given what a gateway carries before and after these
    operations. Errors: InvalidConfiguration."""
    needs: Callable[[Snapshot, Row], Iterable[str]] = key_variables
    """Returns the variables without which the gateway cannot have a row of what it carries."""
    lacks: Callable[[Row, Gateway], Iterable[str]] = lambda _row, _gateway: ()
    """Returns why else a gateway cannot have a row, such as a database that it has not; and what to do."""
