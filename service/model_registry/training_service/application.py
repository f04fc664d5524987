"""The HTTP interface of a training service. Every error is `{"detail": ...}`, as its clients expect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from model_registry.training_service.jobs import AlreadyRunning, Job, JobId, Jobs, NoCommand
from model_registry.training_service.models import ServedModels
from model_registry.training_service.option_schema import option_schema

_BODY_BYTES = 2**20
_HEALTH = {"status": "healthy", "service": "training-service"}
_Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


class TrainingRequest(BaseModel):
    """A job, as clients send it. Further fields are passed on to the command."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())

    job_id: (
        Annotated[int, Field(ge=-(2**63), lt=2**63)]
        | Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
    )
    framework: _Text
    task_type: _Text
    model_name: _Text
    dataset_path: _Text
    dataset_format: _Text
    num_classes: int | None
    output_dir: _Text
    epochs: int = Field(ge=1)
    batch_size: int
    learning_rate: float = Field(gt=0)
    optimizer: str | None = None
    device: str | None = None
    image_size: int | None = None
    pretrained: bool | None = None
    checkpoint_path: str | None = None
    resume: bool | None = None
    advanced_config: dict[str, Any] | None = None
    project_id: int | str | None = None


def training_application(models: ServedModels, jobs: Jobs, refresh_seconds: float | None) -> Starlette:
    """Make the application. It reads the models when it starts, and again every `refresh_seconds`."""
    routes = _Routes(models, jobs)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(models.refresh)
        refreshing = asyncio.create_task(_refresh(models, refresh_seconds))
        yield
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await jobs.close()

    handlers = dict.fromkeys((HTTPException, _Refused, Exception), _detail)
    app = Starlette(routes=routes.routes(), lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False  # an address is right, or has a detail
    return app


async def _refresh(models: ServedModels, seconds: float | None) -> None:
    while seconds is not None or not models.is_loaded:
        await asyncio.sleep(seconds or _RETRY_SECONDS)
        await asyncio.to_thread(models.refresh)


_RETRY_SECONDS = 30.0
"""Between two attempts to read what could not be read at all."""


class _Refused(Exception):
    """A request that is not done, with the status and the detail of the answer: a text, or a list of faults."""

    def __init__(self, status: int, detail: str | list[dict[str, Any]]) -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


async def _detail(_request: Request, error: Exception) -> Response:
    """Answer what was refused, here or by the framework; of a bug only that there was one."""
    if isinstance(error, HTTPException):  # unknown path or method
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    if isinstance(error, _Refused):
        return JSONResponse({"detail": error.detail}, error.status)
    return JSONResponse({"detail": "An unexpected error occurred; see the log of the service."}, 500)


class _Routes:
    """The answers of one service."""

    def __init__(self, models: ServedModels, jobs: Jobs) -> None:
        self._models = models
        self._jobs = jobs

    def routes(self) -> list[Route]:
        """Return the routes, the most specific first."""
        reads: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/health": self.health,
            "/models/list": self.list_models,
            "/models/{name:path}": self.get_model,
            "/training/status/{job_id:path}": self.job_status,
            "/training/log/{job_id:path}": self.job_log,
            "/config-schema": self.config_schema,
        }
        return [
            *(Route(path, answer, methods=["GET"]) for path, answer in reads.items()),
            Route("/training/start", self.start_job, methods=["POST"]),
            Route("/training/stop/{job_id:path}", self.stop_job, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Whether the process answers."""
        return JSONResponse(_HEALTH)

    async def list_models(self, _request: Request) -> Response:
        """All models. Errors: 503 while they could never be read."""
        entries = self._loaded().entries
        return JSONResponse({"framework": self._models.name, "model_count": len(entries), "models": entries})

    async def get_model(self, request: Request) -> Response:
        """One model, whose name may have slashes. Errors: 404, 503."""
        name = request.path_params["name"]
        if (entry := self._loaded().find(name)) is None:
            raise _Refused(404, f"Model '{name}' not found in framework '{self._models.name}'")
        return JSONResponse(entry)

    async def config_schema(self, request: Request) -> Response:
        """The options of a task: those that the models' file defines, else made of what models recommend."""
        task = request.query_params.get("task_type")
        if not task:
            raise _Refused(422, [{"type": "missing", "loc": ["query", "task_type"], "msg": "Field required"}])
        models = self._loaded()
        schema = models.schemas.get(task) or option_schema(models.entries, task)
        if schema is None:
            raise _Refused(404, f"No config schema available for '{task}' in framework '{models.name}'")
        return JSONResponse({"framework": models.name, "task_type": task, "schema": schema})

    async def start_job(self, request: Request) -> Response:
        """Start a job. Errors: 409 it runs already, 413, 415, 422, 503 without a command."""
        job = await _request_of(request)
        models = self._loaded()
        if models.framework is not None and job.framework != models.framework:
            raise _invalid("framework", f"this service trains models of {models.framework}")
        if models.find(job.model_name) is None:
            raise _invalid("model_name", f"Model '{job.model_name}' not found in framework '{models.name}'")
        try:
            await self._jobs.start(job.job_id, job.model_dump(mode="json", exclude_unset=True))
        except NoCommand as error:
            raise _Refused(503, str(error)) from error
        except AlreadyRunning as error:
            raise _Refused(409, str(error)) from error
        return JSONResponse(
            {"job_id": job.job_id, "status": "started", "message": f"Training job {job.job_id} started"}
        )

    async def job_status(self, request: Request) -> Response:
        """The status of a job. Errors: 404."""
        job = self._job(request)
        return JSONResponse({"job_id": job.job_id, "status": job.status, "error": job.error})

    async def job_log(self, request: Request) -> Response:
        """The last lines that the command of a job wrote. Errors: 404."""
        return PlainTextResponse("".join(f"{line}\n" for line in self._job(request).lines))

    async def stop_job(self, request: Request) -> Response:
        """Stop a job, and answer when it has ended: within 6 s. Errors: 404."""
        job = self._job(request)
        if job.status != "running":
            message = f"Job {job.job_id} is not running (status: {job.status})"
            return JSONResponse({"job_id": job.job_id, "status": "already_stopped", "message": message})
        await self._jobs.stop(job)
        message = f"Training job {job.job_id} stopped"
        return JSONResponse({"job_id": job.job_id, "status": "stopped", "message": message})

    def _loaded(self) -> ServedModels:
        if not self._models.is_loaded:
            raise _Refused(503, f"The models are not available in this training service: {self._models.error}")
        return self._models

    def _job(self, request: Request) -> Job:
        job_id: JobId = request.path_params["job_id"]
        if (job := self._jobs.find(str(job_id))) is None:
            raise _Refused(404, f"Job {job_id} not found")
        return job


async def _request_of(request: Request) -> TrainingRequest:
    """Read and check a body of at most 1 MiB. Errors: _Refused, with 413, 415 or 422."""
    if "json" not in request.headers.get("content-type", ""):
        raise _Refused(415, "Send the job as JSON, with the header Content-Type: application/json.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise _Refused(413, "The body is larger than 1 MiB.")
    try:
        return TrainingRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise _Refused(422, [{**item, "loc": ["body", *item["loc"]]} for item in details]) from error


def _invalid(name: str, message: str) -> _Refused:
    return _Refused(422, [{"type": "value_error", "loc": ["body", name], "msg": message}])
