"""`model-registry training-service`: one framework's models over HTTP, implemented in `training_service/`."""

from __future__ import annotations

import logging
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_registry.cli.agents import configure_plain
from model_registry.cli.serve import until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from starlette.applications import Starlette

    from model_registry.training_service.models import Documents

log = logging.getLogger("model_registry.training_service")

_REFRESH_SECONDS = 30.0

Framework = Annotated[
    str | None, typer.Option("--framework", envvar="FRAMEWORK", help="Framework to serve; by default all models.")
]
Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        exists=True,
        help="JSON file with the models, or directory of such files; read again when they change. By default a few of "
        "timm, ultralytics and huggingface.",
    ),
]
Module = Annotated[
    str | None,
    typer.Option(
        "--module", help="Python module, as NAME or DIRECTORY:NAME, whose get_all_models() returns the models."
    ),
]
Registry = Annotated[
    str | None, typer.Option("--registry", help="URL of a model registry that has the models; asked every 30 s.")
]
Command = Annotated[
    str | None,
    typer.Option(
        "--train-command",
        envvar="TRAIN_COMMAND",
        help="Command that trains: it gets a job as JSON on standard input, and ends with 0 when it is done. Without "
        "one, jobs are refused.",
    ),
]
MostJobs = Annotated[int, typer.Option("--most-jobs", min=1, help="Jobs that may run at once.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on. There are no keys: mind who can reach it.")]
Port = Annotated[int, typer.Option("--port", envvar="PORT", min=0, max=65535, help="Port to listen on.")]


def training_service(
    *,
    framework: Framework = None,
    models: Models = None,
    module: Module = None,
    registry: Registry = None,
    train_command: Command = None,
    most_jobs: MostJobs = 4,
    host: Host = "127.0.0.1",
    port: Port = 8001,
) -> None:
    """Serve one framework's models as a training service, for the registry and other clients to discover.

    Answers /health, /models/list, /models/{name}, /training/start, /training/status/{id}, /training/stop/{id},
    /training/log/{id} and /config-schema. A model is an object with at least a name; a file has a list of them, or
    objects by name:
    `{"timm": {"resnet50": {"display_name": "ResNet-50", "task_types": ["image_classification"]}}}`

    Example: `FRAMEWORK=timm model-registry training-service --models timm.json --train-command "python train.py"`
    """
    from model_registry.training_service.application import training_application
    from model_registry.training_service.jobs import Jobs
    from model_registry.training_service.models import ServedModels

    configure_plain()
    read, refresh_seconds = _source(models, module, registry, framework)
    served = ServedModels(read, framework)
    app = training_application(served, Jobs(_split(train_command), most_jobs), refresh_seconds)
    jobs = "" if train_command else "; without --train-command /training/start answers 503"
    _run(app, host, port, lambda place: log.info("ready: http://%s serves %s%s", place, served.name, jobs))


def _run(app: Starlette, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Answer requests until stopped; running ones are finished first, for at most 5 s."""
    import uvicorn

    # h11, which refuses headers over 16 KB: the other parser, httptools, takes headers without end.
    config = uvicorn.Config(
        app, host, port, http="h11", log_config=None, log_level="warning", access_log=False, server_header=False,
        ws="none", lifespan="on", timeout_graceful_shutdown=5,
    )  # fmt: skip

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready(f"{host}:{self.servers[0].sockets[0].getsockname()[1]}")

    with until_stopped():
        Server(config).run()


def _source(
    models: Path | None, module: str | None, registry: str | None, framework: str | None
) -> tuple[Callable[[], Documents], float | None]:
    """Return how the models are read, and how often again; None: once. Errors: BadParameter."""
    from model_registry.training_service.models import SHIPPED, of_files, of_module, of_registry

    if sum(source is not None for source in (models, module, registry)) > 1:
        raise typer.BadParameter("give only one of them", param_hint="--models, --module or --registry")
    if module is not None:
        return partial(of_module, module), None
    if registry is not None:
        url = registry if "://" in registry else f"http://{registry}"
        return partial(of_registry, url, framework), _REFRESH_SECONDS
    return partial(of_files, models or SHIPPED), _REFRESH_SECONDS if models else None


def _split(command: str | None) -> list[str] | None:
    """Split a command like a shell, and look for its program: a mistake shows at once. Errors: BadParameter."""
    if command is None:
        return None
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--train-command") from error
    if not parts or shutil.which(parts[0]) is None:
        raise typer.BadParameter(f"there is no program {parts[0] if parts else ''!r}", param_hint="--train-command")
    return parts
