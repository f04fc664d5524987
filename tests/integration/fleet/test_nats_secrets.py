"""With every kind of login to NATS the connection works and is re-established, and no secret is shown anywhere."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import nats_access
from support.catalogue import add_provider
from support.fleet import consuming, fleet_on, nats_status
from support.nats_access import Authority
from support.nats_server import NatsServer
from support.replica import Replica
from support.waiting import until


async def everything_said(replica: Replica) -> str:
    """Everything that the service reveals to callers."""
    paths = ("/readyz", "/healthz", "/metrics", "/openapi.json", "/api/deployments")
    return "\n".join([(await replica.client.get(path)).text for path in paths] + [repr(replica.state.settings)])


@pytest.mark.parametrize("access", nats_access.ALL, ids=lambda access: access.__name__)
async def test_every_way_in_works_and_again_after_the_server_was_away(  # noqa: PLR0913, PLR0917 (fixtures)
    access: nats_access.Access,
    nats_server: NatsServer,
    start_replica: Any,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    nats_server.kill()
    nats_server.more, variables = access(tmp_path)
    nats_server.start()
    replica: Replica = await start_replica(NATS_URL=f"nats://127.0.0.1:{nats_server.port}", **variables)
    await consuming(replica)

    nats_server.kill()
    await until(partial(nats_status, replica, "down"))
    nats_server.start()
    await consuming(replica)

    seen = await everything_said(replica) + "".join(capfd.readouterr()) + caplog.text
    assert [secret for secret in nats_access.secrets(variables) if secret in seen] == []


@pytest.mark.parametrize("access", [nats_access.nkey, nats_access.creds, nats_access.mutual_tls])
async def test_who_is_not_let_in_any_more_is_let_in_with_renewed_files(
    access: nats_access.Access, nats_server: NatsServer, start_replica: Any, tmp_path: Path
) -> None:
    nats_server.kill()
    nats_server.more, variables = access(tmp_path)
    nats_server.start()
    replica: Replica = await start_replica(NATS_URL=f"nats://127.0.0.1:{nats_server.port}", **variables)
    await consuming(replica)

    nats_server.kill()
    await until(partial(nats_status, replica, "down"))
    nats_server.more, _ = access(tmp_path)
    nats_server.start()

    await consuming(replica)


async def test_a_server_without_tls_receives_nothing_when_tls_is_required(
    nats_server: NatsServer, start_replica: Any
) -> None:
    """nats-py would go on in the clear, and send it the token."""
    replica: Replica = await start_replica(NATS_URL=nats_server.url.replace("nats://", "tls://"))

    async def refused() -> bool:
        return "offers no TLS" in (await nats_status(replica, "down") or "")

    await until(refused)


async def test_a_server_that_others_have_signed_is_not_believed_until_we_trust_them(
    nats_server: NatsServer, start_replica: Any, tmp_path: Path
) -> None:
    nats_server.kill()
    nats_server.more, variables = nats_access.tls(tmp_path)
    nats_server.start()
    exchange(variables["NATS_CA"], Authority(tmp_path, "others").certificate)
    replica: Replica = await start_replica(NATS_URL=f"nats://127.0.0.1:{nats_server.port}", **variables)

    async def refused() -> bool:
        return "certificate verify failed" in (await nats_status(replica, "down") or "")

    await until(refused)
    exchange(variables["NATS_CA"], str(tmp_path / "others.pem"))
    await consuming(replica)


def exchange(one: str, other: str) -> None:
    """Each file has what the other had."""
    kept = Path(one).read_bytes()
    Path(other).replace(one)
    Path(other).write_bytes(kept)


@pytest.mark.parametrize("state", ["well", "refused", "down", "unreadable"])
async def test_no_secret_is_logged_or_answered(
    state: str,
    nats_server: NatsServer,
    start_replica: Any,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url, secret = nats_server.url, nats_server.token
    if state == "unreadable":
        url = f"nats://{secret}@127.0.0.1:{nats_server.port}"
    if state in ("refused", "down"):
        nats_server.kill()
    if state == "refused":
        nats_server.token = "another"  # noqa: S105 (made up)
        nats_server.start()

    replica: Replica = await start_replica(NATS_URL=url)
    if state == "well":
        await consuming(replica)
        nats_server.kill()
        await until(partial(nats_status, replica, "down"))
        nats_server.start()
        await consuming(replica)
    else:
        reason = {"refused": "Authorization Violation", "down": "Connect call failed", "unreadable": "cannot be read"}

        async def told() -> bool:
            return reason[state] in (await nats_status(replica, "down") or "")

        await until(told)
    await add_provider(replica.client)
    answers = await everything_said(replica)

    logged = "".join(capfd.readouterr()) + caplog.text
    assert "nats" in logged
    for part in ("s3cr3t", "n0body"):
        assert part not in logged, state
        assert part not in answers, state


async def test_a_server_that_sends_us_away_is_asked_again_until_it_lets_us_in(
    nats_server: NatsServer, start_replica: Any, database: psycopg.Connection
) -> None:
    """nats-py reconnects when a connection breaks, but closes for good when the server says why."""
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    await consuming(replica)
    token = nats_server.token

    nats_server.token = "another"  # noqa: S105 (made up)
    nats_server.reload()

    async def refused() -> bool:
        return "Authorization Violation" in (await nats_status(replica, "down") or "")

    await until(refused)
    nats_server.token = token
    nats_server.reload()
    await consuming(replica)

    async with fleet_on(nats_server.url) as fleet:
        await fleet.load("again")
        await fleet.settled()
    assert database.execute("select announced_model from model_deployments").fetchall() == [("again",)]


async def test_an_unreadable_url_is_reported_and_the_service_serves(start_replica: Any, tmp_path: Path) -> None:
    replica: Replica = await start_replica(NATS_URL=f"nats://a/b@{tmp_path.name}")

    assert (await replica.client.get("/api/models")).status_code == 200
    assert "percent-encode" in str(await until(partial(nats_status, replica, "down")))


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_logged_traceback_does_not_show_the_values_of_variables(log_format: str) -> None:
    """In a process of its own: how logs look is set once and for all."""
    program = f"""
import structlog
from model_registry.cli.logs import configure
configure({log_format!r}, "info")
def connect(token):
    raise RuntimeError("boom")
try:
    connect("".join(["s3c", "r3t"]))
except RuntimeError:
    structlog.get_logger("a test").exception("failed unexpectedly")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert "boom" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr
