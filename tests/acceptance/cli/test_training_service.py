"""`model-registry training-service` as a process: the real entries of three frameworks, and jobs that run a command."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.processes import COMMAND, Program, StartProgram, client_of, run, wait_until
from support.training_entries import DOCUMENTS

TRAIN = """
import json, pathlib, signal, sys
job = json.load(sys.stdin)
print("training", job["model_name"], flush=True)
pathlib.Path(job["output_dir"], "job.json").write_text(json.dumps(job))
if job["dataset_path"] == "long":
    signal.pause()
"""
READY = r"ready: (http://127\.0\.0\.1:\d+)"


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One service with a command, for all tests here."""
    directory = tmp_path_factory.mktemp("trainer")
    (directory / "train.py").write_text(TRAIN)
    command = f"{sys.executable} {directory / 'train.py'}"
    argv = [COMMAND, "training-service", "--port", "0", "--framework", "timm", "--train-command", command]
    with ExitStack() as exits:
        program = Program([*argv, "--most-jobs", "1"], directory / "log")
        exits.callback(program.end)
        yield exits.enter_context(client_of(program.wait_for(READY)[1], None))


def job(directory: Path, job_id: int | str, dataset: str = "short", **fields: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "framework": "timm",
        "task_type": "image_classification",
        "model_name": "convnext_tiny",
        "dataset_path": dataset,
        "dataset_format": "imagefolder",
        "num_classes": 2,
        "output_dir": str(directory),
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 0.001,
        **fields,
    }


def begin(client: httpx.Client, content: dict[str, Any]) -> None:
    response = client.post("/training/start", json=content)
    message = f"Training job {content['job_id']} started"
    assert response.json() == {"job_id": content["job_id"], "status": "started", "message": message}
    assert response.status_code == 200


def test_each_framework_is_served_as_its_real_service_answers(start_program: StartProgram, tmp_path: Path) -> None:
    arguments = ("training-service", "--port", "0")
    programs = {name: start_program(*arguments, environment={"FRAMEWORK": name}) for name in DOCUMENTS}
    for framework, program in programs.items():
        with client_of(program.wait_for(READY)[1], None) as client:
            assert client.get("/health").json() == {"status": "healthy", "service": "training-service"}
            assert client.get("/models/list").json() == DOCUMENTS[framework]
            for entry in DOCUMENTS[framework]["models"]:
                name = entry["model_name"]
                assert client.get(f"/models/{name}").json() == entry
                assert client.get(f"/models/{name.replace('/', '%2F')}").json() == entry
            missing = client.get("/models/no/such")
            assert missing.json() == {"detail": f"Model 'no/such' not found in framework '{framework}'"}
            assert missing.status_code == 404
            refused = client.post("/training/start", json=job(tmp_path, 1, framework=framework, model_name=name))
            assert (refused.status_code, "--train-command" in refused.json()["detail"]) == (503, True)
        assert program.stop() == 0


def test_a_job_runs_the_command_and_gets_every_field(trainer: httpx.Client, tmp_path: Path) -> None:
    content = job(tmp_path, 1, advanced_config={"mixup": 0.2}, of_our_own=[1, None])
    begin(trainer, content)

    wait_until(lambda: trainer.get("/training/status/1").json()["status"] == "completed")
    assert trainer.get("/training/status/1").json() == {"job_id": 1, "status": "completed", "error": None}
    assert json.loads((tmp_path / "job.json").read_text()) == content
    assert trainer.get("/training/log/1").text == "training convnext_tiny\n"
    stopped = trainer.post("/training/stop/1").json()
    assert (stopped["job_id"], stopped["status"], set(stopped)) == (
        1,
        "already_stopped",
        {"job_id", "status", "message"},
    )


def test_a_job_is_stopped_and_may_be_started_again(trainer: httpx.Client, tmp_path: Path) -> None:
    begin(trainer, job(tmp_path, "run-2", "long"))
    again = trainer.post("/training/start", json=job(tmp_path, "run-2"))
    assert (again.status_code, again.json()) == (409, {"detail": "Job run-2 is already running"})
    other = trainer.post("/training/start", json=job(tmp_path, 3))
    assert (other.status_code, "--most-jobs" in other.json()["detail"]) == (409, True)

    stopped = trainer.post("/training/stop/run-2")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    assert trainer.get("/training/status/run-2").json() == {"job_id": "run-2", "status": "stopped", "error": None}
    begin(trainer, job(tmp_path, "run-2"))


def test_no_job_outlives_the_service(start_program: StartProgram, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    command = f"{sys.executable} {tmp_path / 'train.py'}"
    program = start_program("training-service", "--port", "0", "--train-command", command)
    with client_of(program.wait_for(READY)[1], None) as client:
        begin(client, job(tmp_path, 1, "long"))
    (running,) = psutil.Process(program.pid).children()

    assert program.stop(signal.SIGTERM) == 0
    assert not running.is_running()


def test_bad_jobs_are_refused_with_their_place(trainer: httpx.Client, tmp_path: Path) -> None:
    wrong = {"epochs": None, "model_name": "none", "framework": "other", "job_id": "../x", "learning_rate": 0}
    for name, value in wrong.items():
        response = trainer.post("/training/start", json=job(tmp_path, 1) | {name: value})
        assert response.status_code == 422
        assert {detail["loc"][1] for detail in response.json()["detail"]} == {name}


def test_other_mistakes_have_a_detail(trainer: httpx.Client) -> None:
    as_json = {"Content-Type": "application/json"}
    answers = {
        ("GET", "/nothing", b""): 404,
        ("GET", "/training/status/9", b""): 404,
        ("POST", "/training/stop/9", b""): 404,
        ("DELETE", "/models/list", b""): 405,
        ("GET", "/config-schema", b""): 422,
        ("GET", "/config-schema?task_type=no", b""): 404,
        ("POST", "/training/start", b"\xff"): 422,
        ("POST", "/training/start", b"[" * 2**20 + b"["): 413,
    }
    for (method, path, body), expected in answers.items():
        response = trainer.request(method, path, content=body, headers=as_json)
        assert (response.status_code, set(response.json())) == (expected, {"detail"}), path
    assert trainer.post("/training/start", content=b"{}").status_code == 415


def test_headers_without_end_are_refused(trainer: httpx.Client) -> None:
    with socket.create_connection((trainer.base_url.host, trainer.base_url.port or 80), timeout=20) as caller:
        caller.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000)
        assert caller.recv(100).startswith(b"HTTP/1.1 400 ")


def test_the_number_of_a_job_is_one_that_databases_have(trainer: httpx.Client, tmp_path: Path) -> None:
    refused = trainer.post("/training/start", json=job(tmp_path, 2**63))
    assert (refused.status_code, refused.json()["detail"][0]["loc"][:2]) == (422, ["body", "job_id"])


def test_the_options_of_a_task(trainer: httpx.Client) -> None:
    found = trainer.get("/config-schema", params={"task_type": "image_classification"}).json()

    assert (found["framework"], found["task_type"]) == ("timm", "image_classification")
    assert found["schema"]["properties"]["epochs"]["default"] == 50


def test_a_module_that_fails_is_a_503_with_the_reason(start_program: StartProgram) -> None:
    program = start_program("training-service", "--port", "0", "--module", "nowhere")
    with client_of(program.wait_for(READY)[1], None) as client:
        response = client.get("/models/list")
        assert (response.status_code, "No module named 'nowhere'" in response.json()["detail"]) == (503, True)
        assert client.get("/health").status_code == 200


def test_a_mistake_shows_at_once() -> None:
    done = run("training-service", "--train-command", "no-such-program --x")

    assert done.returncode == 2
    assert "there is no program 'no-such-program'" in done.stderr
