"""The embedded stack with real processes: what it keeps, what it refuses, and how it recovers from a crash."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from model_registry.devstack.directory import DataDirectory, write_environment
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.devstack.postgres import Postgres
from model_registry.devstack.strays import end_strays, remove_stale_lock
from model_registry.devstack.system_user import SystemUser, open_way_to, postgres_user
from model_registry.errors import StackError
from support.waiting import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from model_registry.devstack.process import StackProcess

_ROLES = """
do $$ begin
    if not exists (select from pg_roles where rolname = 'authenticator') then
        create role anon nologin;
        create role service_role nologin;
        create role authenticator login noinherit;
        grant anon, service_role to authenticator;
        create schema model_registry;
        grant usage on schema model_registry to service_role;
        create table model_registry.notes (text text);
        grant all on model_registry.notes to service_role;
    end if;
end $$
"""

# What `model-registry up` comes down to, as a process of its own that can be killed.
_SUPERVISOR = """
import signal, sys
from pathlib import Path
from model_registry.devstack.embedded import EmbeddedStack
EmbeddedStack(Path(sys.argv[1]), prepare=lambda _: None, durable=False).start()
print("ready", flush=True)
signal.pause()
"""


def make_roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_ROLES)


def new_stack(data_dir: Path, *, nats_port: int | None = None) -> EmbeddedStack:
    return EmbeddedStack(data_dir, prepare=make_roles, durable=False, nats_port=nats_port)


def request(stack: EmbeddedStack, method: str, body: str | None = None) -> tuple[int, str]:
    """Ask PostgREST for the table `notes` with the key that the stack gives."""
    key = stack.environment()["POSTGREST_KEY"]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", stack.postgrest.port, timeout=LONGEST)) as connection:
        connection.request(method, "/notes", body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def wait_for(condition: Callable[[], bool], *, seconds: float = LONGEST) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not pytest's: every run that begins closes the directory above to the user that Postgres runs as for root."""
    with TemporaryDirectory(prefix="registry-stack-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def stack() -> Iterator[EmbeddedStack]:
    with TemporaryDirectory(prefix="registry-stack-") as directory, new_stack(Path(directory) / "data") as running:
        yield running


def test_postgrest_answers_its_own_key_only(stack: EmbeddedStack) -> None:
    assert request(stack, "POST", '{"text": "a"}')[0] == 201
    with closing(http.client.HTTPConnection("127.0.0.1", stack.postgrest.port, timeout=LONGEST)) as connection:
        connection.request("GET", "/notes")
        assert connection.getresponse().status == 401


def test_everything_listens_on_loopback_only(stack: EmbeddedStack) -> None:
    for part in (stack.postgres, stack.postgrest, stack.nats):
        listening_at = {
            c.laddr.ip for c in psutil.Process(part.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN
        }
        assert listening_at == (set() if part is stack.postgres else {"127.0.0.1"})


def test_secrets_are_readable_by_their_owner_only(stack: EmbeddedStack) -> None:
    for name in ("secrets.json", "nats/nats.conf", "postgrest/postgrest.conf"):
        assert stat.S_IMODE((stack.data_dir / name).stat().st_mode) == 0o600, name


def test_nats_refuses_a_client_without_the_token(stack: EmbeddedStack) -> None:
    with socket.create_connection(("127.0.0.1", stack.nats.port), timeout=LONGEST) as connection:
        connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"Authorization Violation" in answer


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process can be set on Linux only")
def test_postgrest_says_what_is_wrong_when_no_file_may_grow(stack: EmbeddedStack) -> None:
    """It answers 500 to requests that it cannot log, and it logs refusals: so it must not write files itself."""
    process = psutil.Process(stack.postgrest.pid)
    _, most = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, most))
    try:
        assert [request(stack, "POST", "{")[0] for _ in range(3)] == [400, 400, 400]
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (most, most))


@pytest.mark.parametrize("name", ["postgres", "postgrest", "nats"])
def test_a_part_that_was_killed_starts_again_at_the_same_address(stack: EmbeddedStack, name: str) -> None:
    part: StackProcess = getattr(stack, name)
    before, pid = stack.environment(), part.pid
    part.kill()
    assert part.pid is None
    part.start()
    assert part.pid not in {None, pid}
    assert stack.environment() == before
    wait_for(lambda: request(stack, "GET")[0] == 200)
    assert listening(stack.nats.port)


def test_a_second_stack_on_the_same_directory_is_refused(stack: EmbeddedStack) -> None:
    with pytest.raises(StackError, match=rf"in use by process {os.getpid()}"):
        new_stack(stack.data_dir).start()
    assert request(stack, "GET")[0] == 200


def test_a_taken_port_is_refused_by_its_number_and_nothing_keeps_running(stack: EmbeddedStack, tmp_path: Path) -> None:
    other = new_stack(tmp_path / "data", nats_port=stack.postgrest.port)
    with pytest.raises(StackError, match=rf"port {stack.postgrest.port}: another program listens there. Stop that"):
        other.start()
    with new_stack(other.data_dir) as again:
        assert request(again, "GET")[0] == 200


def test_a_second_start_keeps_data_secrets_and_ports(tmp_path: Path) -> None:
    with new_stack(tmp_path / "data") as first:
        assert request(first, "POST", '{"text": "kept"}')[0] == 201
        before = first.environment()
    with new_stack(tmp_path / "data") as second:
        assert request(second, "GET") == (200, '[{"text":"kept"}]')
        assert second.environment() == before


def without_ports(environment: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r":\d+$", "", value) for name, value in environment.items()}


def test_after_a_sigkill_of_the_supervisor_the_next_start_recovers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with new_stack(data) as first:
        assert request(first, "POST", '{"text": "kept"}')[0] == 201
        before = first.environment()
    with subprocess.Popen([sys.executable, "-c", _SUPERVISOR, data], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"ready\n"
        left = [child.pid for child in psutil.Process(supervisor.pid).children()]
        assert len(left) == 3
        supervisor.kill()
    with new_stack(data) as second:
        assert request(second, "GET") == (200, '[{"text":"kept"}]')
        # Its ports too, unless a test that runs beside this one took one of them meanwhile.
        assert without_ports(second.environment()) == without_ports(before)
        assert not set(left) & {second.postgres.pid, second.postgrest.pid, second.nats.pid}


def test_backends_that_outlive_their_server_are_ended_before_the_next(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "data", tmp_path / "log", durable=False)
    postgres.start()
    try:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            row = connection.execute("select pg_backend_pid()").fetchone()
            assert row is not None
            backend = psutil.Process(row[0])
            backend.suspend()
            wait_for(lambda: backend.status() == psutil.STATUS_STOPPED)
            postgres.kill()
            assert backend.status() == psutil.STATUS_STOPPED
            postgres.start()
            # Gone, or a zombie where process 1 takes no notice of orphans.
            assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    finally:
        postgres.stop()


def test_strangers_are_never_ended(tmp_path: Path) -> None:
    """Neither the same program elsewhere nor another program in our directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ours = tmp_path / "ours"
    ours.mkdir()
    name = "nats-server"
    (tmp_path / name).symlink_to("/bin/sleep")
    same_program = subprocess.Popen([tmp_path / name, "60"], cwd=elsewhere)
    same_directory = subprocess.Popen(["/bin/sleep", "60"], cwd=ours)
    stray = subprocess.Popen([tmp_path / name, "60"], cwd=ours)
    try:
        wait_for(lambda: psutil.Process(stray.pid).name() == name)
        end_strays(frozenset({name}), ours, ask=signal.SIGTERM, patience=5)
        assert stray.wait(5) == -signal.SIGTERM
        assert same_program.poll() is None
        assert same_directory.poll() is None
    finally:
        for process in (same_program, same_directory, stray):
            process.kill()
            process.wait()


def test_a_failing_prepare_leaves_nothing_running(tmp_path: Path) -> None:
    def refuse(_: str) -> None:
        raise LookupError

    stack = EmbeddedStack(tmp_path / "data", prepare=refuse, durable=False)
    with pytest.raises(LookupError):
        stack.start()
    assert stack.postgres.pid is None
    assert stack.nats.pid is None
    assert not listening(stack.nats.port)


def test_a_data_directory_with_a_long_and_odd_path_works(tmp_path: Path) -> None:
    with new_stack(tmp_path / ("long, 'odd' \"päth\" %20 " * 5)) as stack:
        assert request(stack, "POST", '{"text": "a"}')[0] == 201


def test_data_of_another_postgres_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StackError, match="is of Postgres 16, not 18"):
        Postgres(tmp_path / "data", tmp_path / "log").start()


def test_the_environment_file_is_private_and_a_shell_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "stack.env"
    value = 'it\'s $HOME `id` "quoted" \\ and\nlong'
    write_environment(path, {"PLAIN": "http://127.0.0.1:1", "ODD": value})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = f'. {shlex.quote(str(path))} && printf %s "$ODD"'
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, text=True).stdout == value
    assert list(tmp_path.iterdir()) == [path]


def _a_stranger() -> subprocess.Popen[bytes]:
    """A process of the user that Postgres runs as: Postgres believes that such a one holds a lock with its id."""
    user = postgres_user(Path("/nonexistent"))
    return subprocess.Popen(
        ["/bin/sleep", "60"], user=user.uid if user else None, group=user.gid if user else None, cwd="/"
    )


@pytest.mark.parametrize("where", ["data", "a path too long for a socket " * 4], ids=["beside the data", "elsewhere"])
def test_a_lock_with_the_id_of_a_stranger_does_not_keep_postgres_from_starting(tmp_path: Path, where: str) -> None:
    postgres = Postgres(tmp_path / where, tmp_path / "log", durable=False)
    postgres.start()
    locks = [postgres.home / "postmaster.pid", postgres.socket_dir / ".s.PGSQL.5432.lock"]
    kept = [(lock, lock.read_bytes().partition(b"\n")[2], lock.stat().st_uid) for lock in locks]
    postgres.kill()
    stranger = _a_stranger()
    try:
        for lock, rest, owner in kept:
            lock.write_bytes(f"{stranger.pid}\n".encode() + rest)
            os.chown(lock, owner, -1)
        postgres.start()
        assert postgres.pid is not None
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        postgres.stop()


def test_a_lock_of_a_program_of_ours_that_is_at_work_is_respected(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "postgres").symlink_to("/bin/sleep")
    lock = tmp_path / "postmaster.pid"
    with subprocess.Popen([tmp_path / "postgres", "60"], cwd=tmp_path / "home") as ours:
        try:
            wait_for(lambda: psutil.Process(ours.pid).name() == "postgres")
            lock.write_text(f"{ours.pid}\n/somewhere\n")
            with pytest.raises(StackError, match=rf"belongs to process {ours.pid}, which works in"):
                remove_stale_lock(lock, frozenset({"postgres"}), tmp_path / "home")
            assert lock.exists()
        finally:
            ours.kill()


def _too_open(directory: Path) -> dict[str, str]:
    """What others may do something with, by its path."""
    return {
        str(path): oct(mode)
        for path in [directory, *directory.rglob("*")]
        if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077 and not path.is_symlink()
    }


def test_nothing_in_the_data_directory_is_for_others_whatever_the_umask_and_an_earlier_version_left(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    before = os.umask(0)
    try:
        with new_stack(data) as first:
            assert request(first, "POST", '{"text": "a"}')[0] == 201
            made = _too_open(data)
        user = postgres_user(data / "postgres")
        for path in [data, *data.rglob("*")]:
            if not path.is_relative_to(data / "postgres"):
                path.chmod(0o755 if path.is_dir() else 0o644)
        with new_stack(data) as second:
            assert request(second, "GET") == (200, '[{"text":"a"}]')
            tightened = _too_open(data)
    finally:
        os.umask(before)
    # Postgres as another user needs the way to its directory, and only its group gets that: no list, no look.
    passage = {str(data): oct(0o710)} if user else {}
    assert made == passage
    assert tightened == passage
    assert user is None or data.stat().st_gid == user.gid


def test_a_directory_that_is_not_ours_alone_keeps_its_mode_and_its_files(tmp_path: Path) -> None:
    shared = tmp_path / "home"
    shared.mkdir(mode=0o755)
    (shared / "web").mkdir(mode=0o755)
    (shared / "logs").mkdir(mode=0o755)
    (shared / "stack.env").touch(mode=0o644)
    (shared / "cache").symlink_to(shared / "web")
    directory = DataDirectory(shared)
    directory.lock()
    directory.unlock()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [shared, *shared.iterdir()]}
    expected = {"home": 0o755, "web": 0o755, "cache": 0o755, "logs": 0o700, "stack.env": 0o600, "lock": 0o600}
    assert modes == expected


def test_the_way_is_opened_to_one_group_and_only_where_that_takes_nothing_from_another(tmp_path: Path) -> None:
    inner = tmp_path / "private" / "team"
    inner.mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    inner.chmod(0o750)
    # A group that we may give away without being root: our own.
    open_way_to(inner / "data", SystemUser(os.geteuid() + 1, os.getegid()))
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o710
    assert stat.S_IMODE(inner.stat().st_mode) == 0o750
    open_way_to(inner / "data", SystemUser(os.geteuid() + 1, os.getegid() + 1))
    assert stat.S_IMODE(inner.stat().st_mode) == 0o751
