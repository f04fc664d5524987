"""The sandbox of a check, attacked from inside: by the process of the check, and by that of the gateway."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from model_registry.confinement.walls import missing_walls
from model_registry.errors import NotConfined
from model_registry.gateways.json_lines_child import python_child
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from support.children import attacks

pytestmark = pytest.mark.skipif(
    bool(missing_walls()), reason=f"this kernel has no walls against: {'; '.join(missing_walls())}"
)

NOT_EVERYWHERE = frozenset({"ptrace", "memory of others", "io_uring", "limits", "dns", "read /proc/1/environ"})
"""Allowed only to root or by the container: these may fail even without a sandbox."""
CAP_SYS_CHROOT = 1 << 18
"""Used to enter the sandbox; afterwards the call itself is forbidden."""
WRITES = "write here"
STARTS_PYTHON = frozenset({"fork", "priority"})
"""The process of the check starts the gateway's process, and loads no untrusted configuration itself."""


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[attacks.Targets]:
    """Resources of this machine that must stay out of reach, in use."""
    secret = tmp_path / "secrets.json"
    secret.write_text('{"admin_key": "canary"}')
    name = f"canary-{os.getpid()}"
    with ExitStack() as stack:
        places: dict[str, tuple[int, int, Any]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(Path(stack.enter_context(_short_directory()), "s"))),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}"),
            "abstract datagram": (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{name}-d"),
        }
        found: attacks.Targets = {}
        for what, (family, kind, address) in places.items():
            listener = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            port = listener.getsockname()[1] if family == socket.AF_INET else None
            found[what] = port or str(address).removeprefix("\0")
        environs = [f"/proc/{pid}/environ" for pid in (1, os.getpid(), "self")]
        found["files"] = [str(secret), "/etc/passwd", "/etc/hosts", *environs]
        found |= {"parent": os.getpid(), "elsewhere": str(tmp_path / "new"), "program": shutil.which("true")}
        yield found


def _short_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="s")  # the path of a socket has at most 108 bytes


@pytest.mark.parametrize("more", [False, True], ids=["its directory is all there is", "with another file to read"])
def test_the_gateways_process_can_do_nothing_but_compute(
    targets: attacks.Targets, tmp_path: Path, *, more: bool
) -> None:
    (tmp_path / "more").write_text("x")
    with GatewayProcess(
        readable=[tmp_path / "more"] if more else [], child="support.children.attacks"
    ) as gateway_process:
        file = gateway_process.directory / "targets.json"
        file.write_text(json.dumps(targets))
        assert json.loads(gateway_process.load(file, {}).message or "null") == []


def test_nor_can_it_when_the_process_of_the_check_starts_it(targets: attacks.Targets, tmp_path: Path) -> None:
    command = python_child("support.children.attacks_of_check", str(tmp_path / "check"), targets)
    (tmp_path / "check").mkdir()
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=tmp_path / "check", env={}, check=True, timeout=60)
    check, gateway = json.loads(done.stdout)
    assert gateway == []
    assert set(check) <= {WRITES, *STARTS_PYTHON}


def test_without_walls_all_of_that_works(targets: attacks.Targets) -> None:
    """Otherwise the tests above would prove nothing."""
    command = python_child("support.children.attacks_without_walls", targets)
    with tempfile.TemporaryDirectory() as here:
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=here, check=True, timeout=60)
    assert set(json.loads(done.stdout)) >= attacks.attacks(targets).keys() - NOT_EVERYWHERE


def test_every_thread_of_the_gateways_process_is_held() -> None:
    """Loading the gateway starts threads, and the kernel applies its restrictions per thread."""
    with GatewayProcess() as gateway_process:
        assert gateway_process.validate("").accepted
        child = gateway_process.child.process
        assert child is not None
        statuses = [file.read_text() for file in Path(f"/proc/{child.pid}/task").glob("*/status")]
    held = [dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line) for text in statuses]

    assert len(held) > 1
    assert {(thread["Seccomp"], thread["NoNewPrivs"]) for thread in held} == {("2", "1")}
    assert {int(thread["CapEff"], 16) & ~CAP_SYS_CHROOT for thread in held} == {0}


def test_a_process_that_computes_for_too_long_is_ended() -> None:
    program = "from model_registry.confinement.walls import limit_cpu\nlimit_cpu(0)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == -signal.SIGXCPU


def test_no_configuration_answers_in_the_gateways_place() -> None:
    """Everything that it makes the gateway print."""
    answer = '\n\x1e{"refusal": null}\n\x1e {"refusal": null}\n'
    program = "support.children.gateway_that_repeats"
    with GatewayProcess(5, child=program) as gateway_process:
        assert gateway_process.validate(f"# {answer.encode().hex()}").message == "refused"


def test_a_process_that_cannot_be_shut_in_is_asked_nothing() -> None:
    with (
        GatewayProcess(child="support.children.gateway_that_cannot_be_shut_in") as gateway_process,
        pytest.raises(NotConfined, match="refuses"),
    ):
        gateway_process.validate("")
