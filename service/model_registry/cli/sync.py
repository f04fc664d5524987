"""`model-registry tensorzero sync`: the agent beside a gateway. What it does is in `gateway_agent/agent.py`."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from model_registry.cli.nats_login import HOW, nats_login
from model_registry.cli.plain_logs import configure_plain
from model_registry.cli.registry import ReaderKey, RegistryUrl
from model_registry.client.address import DEFAULT_URL

Out = Annotated[Path, typer.Option("--out", help="Where bundles go. The gateway reads DIR/current/tensorzero.toml.")]
Nats = Annotated[
    str | None, typer.Option("--nats", envvar="NATS_URL", help=f"Hear of changes from NATS, instead of asking. {HOW}")
]
Command = Annotated[str | None, typer.Option("--exec", help="Run this after each switch; without a shell.")]
PidFile = Annotated[Path | None, typer.Option("--pid-file", help="Signal this process after each switch.")]
Signal = Annotated[str, typer.Option("--signal", help="Which signal: HUP, USR1, TERM, ...")]
Health = Annotated[str | None, typer.Option("--health", help="A URL that answers 2xx while the gateway is well.")]
HealthTimeout = Annotated[float, typer.Option("--health-timeout", min=0.1, help="Seconds a gateway has to come up.")]
Settle = Annotated[float, typer.Option("--settle", min=0, help="Seconds it must be well without a break.")]
Wait = Annotated[float, typer.Option("--wait", min=0.1, max=60, help="Seconds that one question waits for a change.")]
Once = Annotated[bool, typer.Option("--once", help="Fetch once and end: for init containers.")]


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
    """Keep a gateway's configuration at what the registry serves, and go back when the gateway does not come up.

    Whatever goes wrong, DIR/current stays a whole bundle. The last three are kept.

    Example: `model-registry tensorzero sync --out /etc/tensorzero --exec 'systemctl restart gateway'`
    """
    from model_registry.gateway_agent.agent import Agent, AgentTimeouts
    from model_registry.gateway_agent.bundle_directory import BundleDirectory
    from model_registry.gateway_agent.bundle_source import BundleSource
    from model_registry.gateway_agent.gateway_process import LocalGateway
    from model_registry.messaging.change_notifier import ChangeNotifier

    configure_plain()
    for chatty in ("httpx", "httpcore", "nats"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        number = signal.Signals[f"SIG{signal_name.upper().removeprefix('SIG')}"]
    except KeyError as error:
        raise typer.BadParameter(f"there is no signal {signal_name!r}", param_hint="--signal") from error
    login = nats_login(nats) if nats and not once else None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        agent = Agent(
            BundleSource(registry, api_key),
            BundleDirectory(out),
            LocalGateway(command, pid_file, number, health),
            patience=AgentTimeouts(wait, settle, health_timeout),
            news=ChangeNotifier(login) if login else None,
        )
        agent.once() if once else agent.run()
    except KeyboardInterrupt:
        return  # being told to stop is how an agent ends; what is current stays


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
