"""`model-registry tensorzero sync`: the agent beside a gateway, implemented in `gateway_agent/agent.py`."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from model_registry.cli.agents import HOW, configure_plain, nats_login
from model_registry.cli.registry import ReaderKey, RegistryUrl
from model_registry.client.requests import DEFAULT_URL

Out = Annotated[
    Path, typer.Option("--out", help="Directory for bundles. The gateway reads DIR/current/tensorzero.toml.")
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
HealthTimeout = Annotated[
    float, typer.Option("--health-timeout", min=0.1, help="Seconds to wait for the gateway to become healthy.")
]
Settle = Annotated[
    float, typer.Option("--settle", min=0, help="Seconds the gateway must stay healthy without interruption.")
]
Wait = Annotated[float, typer.Option("--wait", min=0.1, max=60, help="Seconds that one request waits for a change.")]
Once = Annotated[bool, typer.Option("--once", help="Fetch once and exit: for init containers.")]


def sync(
    *,
    out: Out,
    registry: RegistryUrl = DEFAULT_URL,
    api_key: ReaderKey = None,
    nats: Nats = None,
    command: Command = None,
    pid_file: PidFile = None,
    signal_name: Signal = "HUP",
    health: Health = None,
    health_timeout: HealthTimeout = 30.0,
    settle: Settle = 3.0,
    wait: Wait = 30.0,
    once: Once = False,
) -> None:
    """Keep a gateway's configuration in sync with the registry, and roll back if the gateway does not become healthy.

    DIR/current is a complete bundle at any time, even after a failure. The last three bundles are kept.

    Example: `model-registry tensorzero sync --out /etc/tensorzero --exec 'systemctl restart gateway'`
    """
    from model_registry.gateway_agent.agent import Agent, AgentTimeouts
    from model_registry.gateway_agent.bundle_directory import BundleDirectory
    from model_registry.gateway_agent.bundle_source import BundleSource
    from model_registry.gateway_agent.gateway_process import LocalGateway
    from model_registry.messaging.change_notifier import ChangeNotifier

    configure_plain()
    number = _signal_of(signal_name)
    login = nats_login(nats) if nats and not once else None
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt):  # the normal end of an agent; the current bundle stays
        agent = Agent(
            BundleSource(registry, api_key),
            BundleDirectory(out),
            LocalGateway(command, pid_file, number, health),
            patience=AgentTimeouts(wait, settle, health_timeout),
            news=ChangeNotifier(login) if login else None,
        )
        agent.once() if once else agent.run()


def _signal_of(name: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except KeyError as error:
        raise typer.BadParameter(f"unknown signal {name!r}", param_hint="--signal") from error


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
