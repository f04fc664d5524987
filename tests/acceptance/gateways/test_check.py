"""The check in its own process, with the real gateway, and as a command: also if one of them crashes or hangs."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import typer

from model_registry.cli.tensorzero_check import check
from model_registry.gateways.json_lines_child import JsonLinesChild
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from support.processes import run

FUNCTION = b'[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "openai::x"\n'


def test_a_check_that_crashes_is_a_refusal_and_the_next_one_gets_another_process(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    if 'crash' in line: sys.exit(1)\n"
        "    print(json.dumps(dict(faults=[], deprecated=[], gateway=None, unasked='x')), flush=True)\n"
    )
    with ValidatorProcess(command=[sys.executable, str(fake)]) as process:
        assert process.check({"t": b"fine"}, gateway=True).accepted
        assert "crashes" in process.check({"t": b"crash"}, gateway=True).reasons[0].message
        assert process.check({"t": b"fine"}, gateway=True).accepted


def test_a_check_that_hangs_ends_in_time() -> None:
    hanging = [sys.executable, "-c", "import time; time.sleep(600)"]
    with ValidatorProcess(timeout_s=0.1, command=hanging) as process:
        assert "hangs" in process.check({"t": b""}, gateway=True).reasons[0].message


ECHO = """
import json, os, sys
for line in sys.stdin:
    job = json.loads(line)
    open("left behind", "a").write("x")
    print("noise")
    if job.get("crash"): os._exit(1)
    print(json.dumps([os.getcwd(), os.getpid(), sorted(os.environ)]), flush=True)
"""


def a_child() -> JsonLinesChild:
    return JsonLinesChild(
        lambda _directory: [sys.executable, "-I", "-c", ECHO],
        environment={"ONLY": "this"},
        stderr=subprocess.DEVNULL,
        group=True,
    )


def answer(line: str) -> list[Any] | None:
    return list(json.loads(line)) if line.startswith("[") else None


def test_a_process_is_kept_and_its_directory_goes_with_it() -> None:
    child = a_child()
    first, second = child.ask({}, 60, answer), child.ask({}, 60, answer)
    assert first is not None
    assert second == first
    directory, pid, environment = first
    assert set(environment) <= {"LC_CTYPE", "ONLY"}
    assert Path(directory, "left behind").exists()

    assert child.ask({"crash": True}, 60, answer, attempts=2) is None
    assert not Path(directory).exists()
    third = child.ask({}, 60, answer)
    assert third is not None
    assert (third[0] != directory, third[1] != pid) == (True, True)

    child.close()
    assert not Path(third[0]).exists()
    assert not Path(f"/proc/{third[1]}").exists()
    assert child.ask({}, 60, answer) is None


def test_a_job_that_ends_its_process_is_tried_as_often_as_it_may_be(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    program = f"import sys; sys.stdin.readline(); open({str(begun)!r}, 'a').write('x')"
    child = JsonLinesChild(
        lambda _directory: [sys.executable, "-c", program],
        directory=tmp_path,
        environment={},
        stderr=subprocess.DEVNULL,
        group=False,
    )
    assert child.ask({}, 60, answer, attempts=2) is None
    assert begun.read_text() == "xx"
    assert child.process is None
    assert tmp_path.exists()


def test_the_real_gateway_is_asked_and_sees_nothing_of_this_machine() -> None:
    toml = FUNCTION + b'system_template = "/etc/hostname"\n[gateway.auth]\nenabled = true\n'
    with ValidatorProcess() as process:
        broken = process.check({"tensorzero.toml": FUNCTION + b'user_template = "t"\n', "t": b"{% if"}, gateway=True)
        outside = process.check({"tensorzero.toml": toml}, gateway=True)

    assert (broken.faults, broken.accepted) == ((), False)
    assert "the gateway says" in broken.reasons[0].message
    assert outside.accepted
    assert outside.gateway is not None
    assert {word.rpartition(": ")[2] for word in outside.gateway.warnings if word.startswith("not checked")} == {
        "functions.f.variants.v.system_template",
        "gateway.auth",
    }


def test_the_command_says_what_is_wrong_and_with_which_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "tensorzero.toml"
    file.write_bytes(FUNCTION + b"weight = 1.0\n")
    fine = run("tensorzero", "check", str(file))
    file.write_bytes(FUNCTION + b"temprature = 1.0\n")
    bad = run("tensorzero", "check", str(file), "--json")

    assert (fine.returncode, "Deprecated (1)" in fine.stdout, "Fine" in fine.stdout) == (0, True, True), fine.stderr
    assert bad.returncode == 1
    assert "did you mean 'temperature'" in bad.stdout
    assert run("tensorzero", "check", str(tmp_path / "none.toml")).returncode == 1
    assert run("tensorzero", "check", "--url", "http://127.0.0.1:9").returncode == 3


def test_files_with_odd_names_are_found_from_inside() -> None:
    toml = FUNCTION + 'system_template = "ü → [x]/{a}.txt"\n'.encode()
    with ValidatorProcess() as process:
        found = process.check({"über [1].toml": toml, "ü → [x]/{a}.txt": b"{% if"}, gateway=True)
    assert found.gateway is not None
    assert "syntax error" in (found.gateway.message or "")


def test_the_command_reads_what_its_owner_names_outside_the_project_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "far.txt").write_text("{% if")
    (tmp_path / "far.json").write_text('{"a": {"type": 3}}')
    schema = tmp_path / "project" / "s.json"
    schema.write_text(f'{{"$ref": "file://{tmp_path}/far.json#/a"}}')
    file = tmp_path / "project" / "tensorzero.toml"
    file.write_bytes(FUNCTION + f'system_template = "{tmp_path}/far.txt"\n'.encode())
    template = run("tensorzero", "check", str(file)).stdout
    file.write_bytes(FUNCTION.replace(b'"chat"\n', b'"json"\noutput_schema = "s.json"\n', 1))
    reference = run("tensorzero", "check", str(file)).stdout

    assert "syntax error" in template
    assert "3 is not valid" in reference or "is not" in reference, reference


MODEL = 'routing = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'


@pytest.mark.parametrize(
    ("more", "says", "silent"),
    [
        ("", ["The gateway accepts it", "Fine"], ["Refused"]),
        ("timeouts.streaming.ttft_ms = 0\n", ["would load it; it is refused", "Refused"], ["gateway accepts it\n"]),
        ("retries = 1\n", ["The gateway refuses it", "Refused"], ["accepts it", "silently"]),
        ("[[rate_limiting.rules]]\nalways = true\ntokens_per_fortnight = 1\n",
         ["the gateway refuses it; remove it", "Refused"], ["accepts it", "silently"]),
        ("[[rate_limiting.rules]]\nalways = true\nper_day = 1\n",
         ["silently ignores it", "loads the rest of it; it is refused", "Refused"], ["accepts it"]),
        ("[postgres]\nenabled = true\n", ["by the rules, because it needs a database: postgres", "Fine"], []),
    ],
)  # fmt: skip
def test_a_check_ends_with_one_result(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    more: str,
    says: list[str],
    silent: list[str],
) -> None:
    (tmp_path / "tensorzero.toml").write_text(f"[models.m]\n{MODEL}{more}")
    with nullcontext() if "Fine" in says else pytest.raises(typer.Exit):
        check([str(tmp_path)])
    out = capsys.readouterr().out
    assert [words for words in says if words not in out] == [], out
    assert [words for words in silent if words in out] == [], out
