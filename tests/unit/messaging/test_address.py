"""NATS_URL: which parts may be shown, and which are credentials."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.messaging.address import NatsAddress


@pytest.mark.parametrize(
    ("url", "servers", "credentials"),
    [
        ("nats://nats:4222", ["nats://nats:4222"], {}),
        ("nats://nats", ["nats://nats:4222"], {}),
        ("nats", ["nats://nats:4222"], {}),
        ("nats:4333", ["nats://nats:4333"], {}),
        ("token@nats", ["nats://nats:4222"], {"token": "token"}),
        ("nats://token@nats:4222/", ["nats://nats:4222"], {"token": "token"}),
        ("nats://user:pass@nats:4222", ["nats://nats:4222"], {"user": "user", "password": "pass"}),
        ("nats://a%2Fb%40c@nats", ["nats://nats:4222"], {"token": "a/b@c"}),
        ("nats://u%3A:p%23%3F@nats", ["nats://nats:4222"], {"user": "u:", "password": "p#?"}),
        ("tls://nats:4222", ["tls://nats:4222"], {}),
        ("nats://[::1]:4222", ["nats://[::1]:4222"], {}),
        ("nats://t@a:1,nats://t@b:2 , tls://c", ["nats://a:1", "nats://b:2", "tls://c:4222"], {"token": "t"}),
        ("nats://a:1,nats://t@b:2", ["nats://a:1", "nats://b:2"], {"token": "t"}),
    ],
)
def test_servers_and_credentials_are_separated(url: str, servers: list[str], credentials: dict[str, str]) -> None:
    address = NatsAddress.parse(url)

    assert (list(address.servers), address.credentials) == (servers, credentials)
    assert str(address) == ", ".join(servers)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " , ",
        "nats://",
        "nats://:4222",
        "nats://secret@",
        "nats://sec#ret@nats:4222",
        "nats://sec/ret@nats:4222",
        "nats://user:sec?ret@nats:4222",
        "nats://user:sec/ret@nats:4222",
        "nats://nats:secret",
        "nats://nats:99999",
        "nats://[secret:4222",
        "nats://user:1,secret,@nats:4222",
        "nats://user:1,secret@nats:4222",
        "nats://a:1,secret",
    ],
)
def test_what_cannot_be_read_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ValueError, match="NATS_URL cannot be read") as caught:
        NatsAddress.parse(url)

    assert "sec" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(), st.text(), st.sampled_from(["user:{}@", "{}@", "{}:password@"]))
def test_whatever_a_secret_is_made_of_it_is_not_shown(before: str, after: str, place: str) -> None:
    url = f"nats://{place.format(f'{before}s3cr3t{after}')}nats:4222"
    try:
        said = repr(address := NatsAddress.parse(url)) + str(address)
    except ValueError as error:
        said = str(error)

    assert "s3cr3t" not in said
    assert "nats://" in said


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_a_secret_is_made_of_it_arrives_when_it_is_percent_encoded(user: str, password: str) -> None:
    address = NatsAddress.parse(f"nats://{quote(user, safe='')}:{quote(password, safe='')}@nats:4222")

    assert address.credentials == {"user": user, "password": password}
