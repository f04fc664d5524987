"""Login to NATS: at most one way, files with valid contents, and no secret in any message."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import RawCredentials

from model_registry.messaging.login import NatsLogin
from support import nats_access
from support.nats_access import Authority

SECRET = "s3cr3t"  # noqa: S105 (made up)
URL = "nats://nats:4222"


def options(url: str = URL, /, **ways: Any) -> dict[str, Any]:
    return {key: value for key, value in NatsLogin(url, **ways).options().items() if key != "servers"}


def test_credentials_in_the_url_and_in_variables_are_equal() -> None:
    assert options("nats://registry:s3cr3t@nats") == options(user="registry", password=SECRET)
    assert options("nats://s3cr3t@nats") == options(token=SECRET) == {"token": SECRET}
    assert options() == {}


@pytest.mark.parametrize(
    ("url", "ways", "words"),
    [
        ("nats://s3cr3t@nats", {"token": SECRET}, "NATS_URL and NATS_TOKEN"),
        (URL, {"token": SECRET, "creds": "a"}, "NATS_TOKEN and NATS_CREDS"),
        (URL, {"user": "registry"}, "belong together"),
        (URL, {"password": SECRET}, "belong together"),
        (URL, {"key": "a"}, "NATS_CERT, which is not set"),
        ("nats://a/s3cr3t@nats", {}, "percent-encoded"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(url: str, ways: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        options(url, **ways)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_files_are_read_at_every_call_so_that_renewed_ones_count(tmp_path: Path) -> None:
    nkey = Path(nats_access.nkey(tmp_path)[1]["NATS_NKEY"])
    login = NatsLogin(URL, nkey=nkey)
    first = login.options()["nkeys_seed_str"]

    nats_access.nkey(tmp_path)

    assert first != login.options()["nkeys_seed_str"] == nkey.read_text().strip()


def test_credentials_are_handed_over_as_content(tmp_path: Path) -> None:
    file = nats_access.creds(tmp_path)[1]["NATS_CREDS"]
    Path(file).write_text(Path(file).read_text().replace("\n", "\r\n"))  # as editors leave it

    found = options(creds=file)["user_credentials"]

    assert isinstance(found, RawCredentials)
    assert "\r" not in found.data


@pytest.mark.parametrize(
    "content",
    ["", "SUs3cr3t", "-----BEGIN NATS USER JWT-----", "-----BEGIN NATS USER JWT-----\ns3cr3t\n", "\x00\xff s3cr3t"],
)
@pytest.mark.parametrize("way", ["nkey", "creds", "ca", "cert"])
def test_a_file_that_does_not_hold_what_it_should_is_named_and_not_shown(
    way: str, content: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text(content)

    with pytest.raises((ValueError, OSError), match="file") as caught:
        options(**{way: file})

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_seed_of_credentials_must_be_one(tmp_path: Path) -> None:
    file = Path(nats_access.creds(tmp_path)[1]["NATS_CREDS"])
    seed = next(line for line in file.read_text().splitlines() if line.startswith("SU"))
    file.write_text(file.read_text().replace(seed, seed[:-4] + SECRET))

    with pytest.raises(ValueError, match="holds no seed") as caught:
        options(creds=file)

    assert seed[:-4] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("way", ["nkey", "creds", "ca", "cert"])
def test_a_file_that_is_not_there_is_named(way: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        options(**{way: tmp_path / "gone"})


def test_a_key_with_a_passphrase_is_an_error_and_no_question(tmp_path: Path) -> None:
    cert, key = Authority(tmp_path, "ca").sign("registry", passphrase=SECRET)

    with pytest.raises(OSError, match="registry") as caught:
        options(cert=cert, key=key)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "ways", "encrypted"),
    [(URL, {}, False), ("tls://nats", {}, True), ("nats://a,tls://b", {}, True), (URL, {"ca": "a"}, True)],
)
def test_who_asks_for_tls_gets_nothing_else(url: str, ways: dict[str, str], *, encrypted: bool) -> None:
    assert NatsLogin(url, **ways).encrypted is encrypted


def test_what_opens_the_server_is_not_shown() -> None:
    assert SECRET not in repr(NatsLogin("nats://u:s3cr3t@nats", password=SECRET, token=SECRET, user=SECRET))
