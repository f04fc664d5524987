"""`model-registry gateways sync`, also `tensorzero sync`: the agent beside a gateway, from `gateway_agent/agent.py`."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_registry.cli.agents import HOW, configure_plain, nats_login
from model_registry.cli.registry import ReaderKey, RegistryUrl, grouped_options
from model_registry.client.requests import DEFAULT_URL

if TYPE_CHECKING:
    from model_registry.gateway_agent.agent import AgentTimeouts
    from model_registry.gateway_agent.environment import GatewayEnvironment

Out = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Directory for bundles. TensorZero reads DIR/current/tensorzero.toml, LiteLLM DIR/current/config.yaml, "
        "SMG DIR/workers.json.",
    ),
]
Gateway = Annotated[
    str | None, typer.Option("--gateway", help="Name of the gateway; without it: tensorzero.", metavar="NAME")
]
Nats = Annotated[
    str | None, typer.Option("--nats", envvar="NATS_URL", help=f"Receive changes over NATS, instead of polling. {HOW}")
]
Command = Annotated[str | None, typer.Option("--exec", help="Command to run after each switch, without a shell.")]
PidFile = Annotated[
    Path | None, typer.Option("--pid-file", help="File with the id of a process to signal after each switch.")
]
Signal = Annotated[str, typer.Option("--signal", help="Signal to send: HUP, USR1, TERM, ...")]
Health = Annotated[str | None, typer.Option("--health", help="URL that returns 2xx while the gateway is healthy.")]
Once = Annotated[bool, typer.Option("--once", help="Fetch once and exit: for init containers.")]

_FILE_SECONDS = 5.0
"""Between two looks at an environment file: people add keys to it at any time, and nothing announces it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the gateway's environment variables are: options of a command."""

    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--env-file",
            exists=True,
            dir_okay=False,
            help="The gateway's environment file: a bundle that names a variable that is not in it is not switched to. "
            "Repeatable.",
        ),
    ] = None
    own: Annotated[
        bool,
        typer.Option("--check-env", help="The same with this command's own environment, which the gateway shares."),
    ] = False
    report: Annotated[
        bool,
        typer.Option(
            "--report-env",
            help="Report to the registry which of the variables that it asks about are there: names, never values. "
            "Needs a key with the scope service.",
        ),
    ] = False

    def read(self) -> GatewayEnvironment | None:
        """Return what the agent looks at; None: at nothing. Errors: BadParameter."""
        from model_registry.gateway_agent.environment import GatewayEnvironment

        if self.files or self.own:
            return GatewayEnvironment(tuple(self.files or ()), os.environ if self.own else None, self.report)
        if self.report:
            raise typer.BadParameter("needs --env-file or --check-env", param_hint="--report-env")
        return None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the agent waits for what: options of a command."""

    health: Annotated[
        float, typer.Option("--health-timeout", min=0.1, help="Seconds to wait for the gateway to become healthy.")
    ] = 30.0
    settle: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds the gateway must stay healthy without interruption.")
    ] = 3.0
    wait: Annotated[
        float, typer.Option("--wait", min=0.1, max=60, help="Seconds that one request waits for a change.")
    ] = 30.0

    def read(self, environment: Environment) -> AgentTimeouts:
        """Return what the agent takes."""
        from model_registry.gateway_agent.agent import AgentTimeouts

        wait = min(self.wait, _FILE_SECONDS) if environment.files else self.wait
        return AgentTimeouts(wait, self.settle, self.health)


@grouped_options
def sync(
    *,
    out: Out,
    gateway: Gateway = None,
    registry: RegistryUrl = DEFAULT_URL,
    api_key: ReaderKey = None,
    nats: Nats = None,
    command: Command = None,
    pid_file: PidFile = None,
    signal_name: Signal = "HUP",
    health: Health = None,
    patience: Patience,
    once: Once = False,
    environment: Environment,
) -> None:
    """Keep a gateway's configuration in sync with the registry, and roll back if the gateway does not become healthy.

    DIR/current is a complete bundle at any time; the last three are kept. SMG watches DIR/workers.json: no restart.

    Example: `model-registry gateways sync --gateway edge --out DIR`; `model-registry tensorzero sync --out DIR`
    """
    from model_registry.gateway_agent.agent import Agent
    from model_registry.gateway_agent.bundle_directory import BundleDirectory
    from model_registry.gateway_agent.bundle_source import BundleSource
    from model_registry.gateway_agent.gateway_process import LocalGateway
    from model_registry.messaging.change_notifier import ChangeNotifier

    configure_plain()
    login = nats_login(nats) if nats and not once else None
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt):  # the normal end of an agent; the current bundle stays
        agent = Agent(
            BundleSource(registry, api_key, gateway=gateway),
            BundleDirectory(out),
            LocalGateway(command, pid_file, _signal_of(signal_name), health),
            patience=patience.read(environment),
            news=ChangeNotifier(login) if login else None,
            environment=environment.read(),
        )
        agent.once() if once else agent.run()


def _signal_of(name: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except KeyError as error:
        raise typer.BadParameter(f"unknown signal {name!r}", param_hint="--signal") from error


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
