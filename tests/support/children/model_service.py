"""A model service as its documents describe it, which fails in every way that is asked for while it runs.

    python -m support.children.model_service --port 0 --control-port 0 --model-type LSTM

Prints a line of JSON with both ports. The control port answers from a thread of its own, even while training blocks the
event loop: `POST /set` with fields of `Faults`, `GET /seen` for what happened so far. `tests/support/model_services.py`
starts it and speaks with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.children.stub_control import CALL_ID, Faults, Seen, control_server
from support.children.stub_http import Request, Responder, StubProtocol

_BACKLOG = 1024
_HANG_SECONDS = 0.02
"""Between two looks whether it still hangs."""


class ModelService:
    """One model service of a type."""

    def __init__(self, model_type: str, faults: Faults, journal: int | None = None) -> None:
        """`journal`: a file descriptor to which the id of each call that is carried out is written."""
        self.faults = faults
        self.seen = Seen()
        self.models = [_model("20261101_0900", model_type)]
        self._model_type = model_type
        self._prepared: dict[str, float] = {}
        self._status: dict[str, Any] = {"status": "idle"}
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request, responder: Responder) -> None:
        """Answer one request."""
        self.seen.paths[request.path] += 1
        if request.path == "/health":
            await self._health(responder)
            return
        async with self._counted(request):
            if await self._fails(request, responder):
                return
            await self._route(request, responder)

    async def _health(self, responder: Responder) -> None:
        faults = self.faults
        while faults.health_hangs or faults.now() == "hang":  # noqa: ASYNC110 (a thread changes it)
            await asyncio.sleep(_HANG_SECONDS)
        if faults.now() == "close_early":
            responder.cut()
            return
        status = 500 if faults.now() == "error" else faults.health_status
        responder.send(status, {"status": faults.health_word})

    @asynccontextmanager
    async def _counted(self, request: Request) -> AsyncIterator[None]:
        seen = self.seen
        call = {"path": request.path, "id": request.header(CALL_ID), "began": time.monotonic(), "how": "answered"}
        seen.headers = request.headers
        seen.calls.append(call)
        seen.in_flight += 1
        seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        try:
            yield
        except asyncio.CancelledError:
            call["how"] = "left"
        finally:
            seen.in_flight -= 1
            call["ended"] = time.monotonic()

    async def _fails(self, request: Request, responder: Responder) -> bool:
        """Fail as asked for, once the request is read: it counts as executed unless it is refused."""
        mode = self.faults.now()
        if mode in {"ok", "slow_body"}:
            return False
        body = await request.body()
        if mode == "rate_limited":
            responder.send(429, {"detail": "slow down"}, {"retry-after": f"{self.faults.retry_after:g}"})
            return True
        self._execute(request, body)
        if mode == "hang":
            while self.faults.now() == "hang":  # noqa: ASYNC110 (a thread changes it)
                await asyncio.sleep(_HANG_SECONDS)
            responder.cut()
        elif mode == "error":
            responder.send(500, {"detail": "out of order"})
        else:
            if mode == "cut_body":
                responder.head(200, {"content-type": "application/json", "content-length": "1000"})
                await responder.write(b'{"result": [')
            responder.cut()
        return True

    def _execute(self, request: Request, body: bytes) -> dict[str, Any]:
        call_id = request.header(CALL_ID) or ""
        self.seen.executed[call_id] += 1
        if self._journal is not None:
            os.write(self._journal, f"{call_id}\n".encode())
        self.seen.body = body.decode("utf-8", "replace")
        document = json.loads(body or b"{}")
        return document if isinstance(document, dict) else {}

    async def _route(self, request: Request, responder: Responder) -> None:
        path = request.path
        name = path.rpartition("/")[2]
        if request.method == "POST" and path in {"/predict", "/predict-multistep", "/forecast"}:
            await self._predict(path, self._execute(request, await request.body()), responder)
        elif request.method == "POST" and path in {"/train", "/get-training-data", "/start-training"}:
            await self._train(path, self._execute(request, await request.body()), responder)
        elif path.startswith("/data-preparation-status/"):
            responder.send(200, self._preparation(name))
        elif path.startswith("/training-status/"):
            await self._training_status(responder)
        elif path == "/models":
            responder.send(200, self.models)
        elif path.startswith("/models/"):
            found = next((model for model in self.models if model["model_name"] == name), None)
            responder.send(200 if found else 404, found or {"detail": f"Model '{name}' not found"})
        elif path == "/echo":
            await self._echo(request, responder)
        elif path.startswith("/events/"):
            await self._events(int(name), responder)
        else:
            responder.send(404, {"detail": "Not Found"})

    async def _predict(self, path: str, body: dict[str, Any], responder: Responder) -> None:
        if self.faults.seconds:
            await asyncio.sleep(self.faults.seconds)
        if not self.faults.trained:
            responder.send(404, {"detail": "No trained model"})
            return
        data = [self.faults.scale * number for number in body.get("data", [])]
        if path == "/predict":
            answer: dict[str, Any] = {"result": data}
        elif path == "/predict-multistep":
            steps = body.get("forecast_steps", 1)
            answer = {"result": [data] * steps, "forecast_steps": steps}
        else:
            answer = {
                "model_name": body.get("model_name"),
                "forecast": [self.faults.scale] * body.get("horizon_days", 1),
            }
        if self.faults.now() != "slow_body":
            responder.send(200, answer)
            return
        text = json.dumps(answer).encode()
        responder.head(200, {"content-type": "application/json", "content-length": str(len(text))})
        for place in range(0, len(text), 8):
            await responder.write(text[place : place + 8])
            await asyncio.sleep(self.faults.piece_seconds)

    async def _train(self, path: str, body: dict[str, Any], responder: Responder) -> None:
        if path == "/get-training-data":
            self._prepared[str(body.get("model_name", self._model_type))] = time.monotonic()
            responder.send(200, {"status": "data_preparation_started"})
        elif path == "/start-training":
            task = asyncio.ensure_future(self._training())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self.faults.seconds)
            responder.send(200, {"status": "started"})
        else:
            await self._training()
            responder.send(500 if self.faults.training_fails else 200, self._status)

    def _preparation(self, name: str) -> dict[str, Any]:
        began = self._prepared.get(name, next(reversed(self._prepared.values()), None) if self._prepared else None)
        if began is None:
            return {"status": "unknown"}
        if time.monotonic() < began + self.faults.preparation_seconds:
            return {"status": "preparing"}
        return {"status": "failed", "error": "no data"} if self.faults.preparation_fails else {"status": "ready"}

    async def _training(self) -> None:
        epochs = self.faults.epochs
        for epoch in range(1, epochs + 1):
            self._status = _progress("training", epoch - 1, epochs)
            await asyncio.sleep(0.01)  # what was asked meanwhile is answered
            if self.faults.training_blocks:
                time.sleep(self.faults.training_seconds / epochs)  # noqa: ASYNC251 (as real ones do)
            else:
                await asyncio.sleep(self.faults.training_seconds / epochs)
        if self.faults.training_fails:
            self._status = _progress("failed", epochs, epochs)
            return
        self.models.insert(0, _model(datetime.now(UTC).strftime("%Y%m%d_%H%M"), self._model_type))
        self._status = _progress("completed", epochs, epochs)

    async def _training_status(self, responder: Responder) -> None:
        """Events until training ends."""
        responder.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        shown: dict[str, Any] = {}
        while shown.get("status") not in {"completed", "failed"}:
            if shown is not self._status:
                shown = self._status
                await responder.chunk(b"event: training_status\ndata: %b\n\n" % json.dumps(shown).encode())
            await asyncio.sleep(0.02)
        await responder.chunk(b"")

    async def _echo(self, request: Request, responder: Responder) -> None:
        """The body back, piece by piece, before it has ended."""
        responder.head(200, {"content-type": "application/octet-stream", "transfer-encoding": "chunked"})
        async for piece in request.pieces():
            await responder.chunk(piece)
        await responder.chunk(b"")

    async def _events(self, count: int, responder: Responder) -> None:
        """Server-sent events, each with the time at which it was sent."""
        responder.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        for number in range(count):
            await responder.chunk(b"id: %d\ndata: %.6f\n\n" % (number, time.monotonic()))
            await asyncio.sleep(self.faults.piece_seconds)
        await responder.chunk(b"")


def _model(name: str, model_type: str) -> dict[str, Any]:
    return {
        "model_name": name,
        "model_type": model_type,
        "training_date": datetime.strptime(name, "%Y%m%d_%H%M").replace(tzinfo=UTC).isoformat(),
        "performance_metrics": {"mae": 0.1},
        "input_features": ["close"],
        "output_features": ["close"],
    }


def _progress(status: str, epoch: int, epochs: int) -> dict[str, Any]:
    return {
        "status": status,
        "current_epoch": epoch,
        "current_loss": 1 / (epoch + 1),
        "validation_loss": 1.1 / (epoch + 1),
        "epoch_progress": epoch / epochs,
        "progress_info": f"epoch {epoch} of {epochs}",
    }


async def serve(service: ModelService, port: int, control_port: int) -> None:
    """Serve until killed."""
    control = control_server(service.faults, service.seen, control_port)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StubProtocol(service.answer), "127.0.0.1", port, backlog=_BACKLOG)
    ports = {"port": server.sockets[0].getsockname()[1], "control_port": control.server_port}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--model-type", default="LSTM")
    parser.add_argument("--faults", default="{}", help="JSON")
    parser.add_argument("--journal", type=Path, help="gets a line for each call that is carried out: survives a kill")
    options = parser.parse_args()
    journal = os.open(options.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if options.journal else None
    service = ModelService(options.model_type, Faults(**json.loads(options.faults)), journal)
    asyncio.run(serve(service, options.port, options.control_port))


if __name__ == "__main__":
    main()
