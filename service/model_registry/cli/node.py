"""`model-registry node`: the agent on a GPU node, implemented in `node_agent/`."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit, urlunsplit

import typer
from pydantic import TypeAdapter, ValidationError

from model_registry.cli.agents import HOW, configure_plain, nats_login
from model_registry.entities.base import ShortName
from model_registry.entities.server_address import is_unspecified
from model_registry.errors import ModelServerUnreachable
from model_registry.loopback import is_loopback

if TYPE_CHECKING:
    from model_registry.messaging.login import NatsLogin
    from model_registry.node_agent.agent import NodeAgent
    from model_registry.node_agent.model_server import ModelServer, Watch

log = logging.getLogger("model_registry.node_agent")

app = typer.Typer(no_args_is_help=True, help="Run on a GPU node: report its loaded models to the registry.")

NodeId = Annotated[
    str, typer.Option("--node-id", envvar="MODEL_REGISTRY_NODE_ID", help="Name of the node; run one agent per node.")
]
OllamaUrl = Annotated[
    list[str] | None,
    typer.Option("--ollama", help="URL of an Ollama server to watch, such as http://127.0.0.1:11434. Repeatable."),
]
OpenAIUrl = Annotated[
    list[str] | None,
    typer.Option("--openai", help="URL of a vLLM or other server with /v1/models to watch. Repeatable."),
]
Nats = Annotated[
    str | None, typer.Option("--nats", envvar="NATS_URL", help=f"URL of the NATS server to publish to. {HOW}")
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", help="URL, with /v1, at which others reach the watched server (only with a single one)."
    ),
]
Host = Annotated[
    str | None, typer.Option("--host", help="Name or address of this machine to announce instead of 127.0.0.1.")
]
ProviderType = Annotated[
    str | None,
    typer.Option(
        "--provider-type",
        help="Provider type of the --openai servers; by default vllm, sglang or llamacpp if detected, else "
        "openai_compatible.",
    ),
]
ServerKey = Annotated[
    str | None,
    typer.Option(
        "--server-key", envvar="MODEL_SERVER_API_KEY", help="API key of the --openai servers; prefer the variable."
    ),
]
Poll = Annotated[float, typer.Option("--poll", min=0.05, max=60, help="Seconds between polls of the servers.")]
Interval = Annotated[float, typer.Option("--interval", min=0.05, max=60, help="Seconds between status messages.")]
Once = Annotated[bool, typer.Option("--once", help="Poll once and print what would be published; needs no NATS.")]


@app.callback()
def _node() -> None:
    """On a GPU node."""


@app.command()
def run(
    *,
    node_id: NodeId,
    ollama: OllamaUrl = None,
    openai: OpenAIUrl = None,
    nats: Nats = None,
    endpoint: Endpoint = None,
    host: Host = None,
    provider_type: ProviderType = None,
    server_key: ServerKey = None,
    poll: Poll = 1.0,
    interval: Interval = 5.0,
    once: Once = False,
) -> None:
    """Watch the model servers of this node and publish their loaded models over NATS, until stopped.

    Publishes loads and unloads within --poll seconds, and all loaded models, with VRAM if nvidia-smi is present, every
    --interval seconds. Models of a server that does not respond are reported as in error. A stopped agent reports
    nothing, as the models are still loaded; after a while the registry marks the node as lost.

    Example: `model-registry node run --node-id gpu-1 --ollama http://127.0.0.1:11434 --host gpu-1 --nats nats://hub`
    """
    from model_registry.node_agent.agent import NodeAgent
    from model_registry.node_agent.gpus import NvidiaSmi

    configure_plain()
    _check_name(node_id)
    servers = _servers(ollama or [], openai or [], provider_type, server_key)
    agent = NodeAgent(node_id, _watches(servers, endpoint, host), NvidiaSmi())
    if once:
        asyncio.run(_once(agent))
        return
    if nats is None:
        raise typer.BadParameter("required, unless --once is set", param_hint="--nats")
    asyncio.run(_run(agent, nats_login(nats), node_id, poll, interval))


def _check_name(node_id: str) -> None:
    try:
        TypeAdapter[str](ShortName).validate_python(node_id)
    except ValidationError as error:
        raise typer.BadParameter("must be 1 to 200 printable characters", param_hint="--node-id") from error


def _servers(
    ollama: list[str], openai: list[str], provider_type: str | None, server_key: str | None
) -> list[ModelServer]:
    from model_registry.node_agent.model_server import Ollama, OpenAICompatible

    servers: list[ModelServer] = [Ollama(_url(url, "--ollama")) for url in ollama]
    servers += [
        OpenAICompatible(_url(url, "--openai"), provider_type=provider_type, api_key=server_key) for url in openai
    ]
    if not servers:
        raise typer.BadParameter("no server to watch: set at least one", param_hint="--ollama or --openai")
    return servers


def _watches(servers: list[ModelServer], endpoint: str | None, host: str | None) -> list[Watch]:
    """Each server with the URL at which others reach it. One that listens everywhere has to be given a name."""
    from model_registry.node_agent.model_server import Watch

    if endpoint is not None and len(servers) > 1:
        raise typer.BadParameter("applies to a single server; use --host to watch several", param_hint="--endpoint")
    watches = []
    for server in servers:
        announced = _url(endpoint, "--endpoint") if endpoint else f"{_reached_at(server.url, host)}/v1"
        if is_unspecified(announced):
            raise typer.BadParameter(
                f"{announced} is every address of this machine, and none that others can use: set --host to the name "
                "or address by which they reach it, or --endpoint to the whole URL",
                param_hint="--endpoint" if endpoint else "--host",
            )
        log.info("watching %s at %s, announced as %s", server.name, server.url, announced)
        if is_loopback(announced):
            log.warning("other machines cannot reach %s: set --host or --endpoint", announced)
        watches.append(Watch(server, announced))
    return watches


def _reached_at(url: str, host: str | None) -> str:
    """The URL with another host, where one is given."""
    if host is None:
        return url
    parts = urlsplit(url)
    named = f"[{host}]" if ":" in host else host
    try:
        usable = urlsplit(f"http://{named}").netloc == named and urlsplit(f"http://{named}").hostname is not None
    except ValueError:
        usable = False
    if not usable or "@" in host:
        raise typer.BadParameter("must be a name or an address, without scheme and port", param_hint="--host")
    return urlunsplit(parts._replace(netloc=f"{named}:{parts.port}" if parts.port else named))


def _url(given: str, option: str) -> str:
    """Complete a URL with http:// if it has no scheme."""
    url = (given if "://" in given else f"http://{given}").rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None:
        raise typer.BadParameter("must be http://host[:port]", param_hint=option)
    return url


async def _once(agent: NodeAgent) -> None:
    """Print messages as JSON, one a line. Errors: ModelServerUnreachable."""
    await agent.look()
    await agent.close()
    status = agent.status()
    for subject, content in [*agent.differences(), *([status] if status else [])]:
        typer.echo(json.dumps({"subject": subject, "payload": content}))
    if agent.troubles:
        raise ModelServerUnreachable("; ".join(agent.troubles))


async def _run(agent: NodeAgent, login: NatsLogin, node_id: str, poll: float, interval: float) -> None:
    """Run until SIGTERM or Ctrl-C, then flush published messages for at most a second."""
    from model_registry.messaging.connection import NatsConnection, cancel

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    link = NatsConnection(login, f"model-registry node {node_id}", on_up=agent.wake.set)
    link.start()
    work = asyncio.create_task(agent.run(link.publish, poll=poll, interval=interval))
    await stop.wait()
    await cancel(work)
    await link.stop()
    await agent.close()
    log.info("stopped; no unload was published, as the models are still loaded")
