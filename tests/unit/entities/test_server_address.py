"""One spelling of a server's address, and of a model's name. That SQL has the same rule is tested with the database."""

from __future__ import annotations

import pytest

from model_registry.entities.model_name import name_key, same_names
from model_registry.entities.server_address import is_unspecified, server_address, server_place


@pytest.mark.parametrize(
    ("address", "urls"),
    [
        ("gpu-1:11434", ["http://gpu-1:11434", "HTTP://GPU-1:11434/", "gpu-1:11434/v1", "https://gpu-1.:11434/v1//"]),
        ("h:80", ["http://h", "http://h:80/v1/", "h"]),
        ("h:443/openai", ["https://h/openai/v1", "https://h:443/openai/"]),
        (
            "localhost:1",
            ["http://localhost:1", "http://127.0.0.1:1/v1", "http://[::1]:1", "0.0.0.0:1", "http://[::]:1"],
        ),
        ("127.0.0.2:1", ["http://127.0.0.2:1", "127.0.0.2:1/v1"]),  # another server may listen at the same port of each
        ("[2001:db8:0:0:0:0:0:1]:1", ["http://[2001:DB8::1]:1", "[2001:0db8::0:0001]:1/v1"]),
        ("[fe80:0:0:0:0:0:0:0]:80", ["http://[FE80::]", "http://[fe80::0]"]),
        ("127.0.1.1:1", ["http://127.0.1.1:1/"]),
        (None, ["", "http://", "http://h:x", "http://a b"]),
    ],
)
def test_however_it_is_written_a_server_has_one_address(address: str | None, urls: list[str]) -> None:
    assert {server_address(url) for url in urls} == {address}
    assert {server_place(url) for url in urls} == {() if address is None else (address.partition("/")[0],)}


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("llama3.2", ["llama3.2", "Llama3.2:latest", "library/llama3.2", "registry.ollama.ai/library/llama3.2:latest"]),
        ("hf.co/org/m:q4", ["hf.co/Org/M:Q4", "huggingface.co/org/m:q4", "https://huggingface.co/org/m:q4"]),
        ("user/m", ["registry.ollama.ai/user/m", "user/M"]),
        ("org/m:8b", ["org/m:8b"]),
        (":latest", [":latest"]),
    ],
)
def test_names_meet_as_their_servers_mean_them(key: str, names: list[str]) -> None:
    assert {name_key(name) for name in names} == {key}


def test_a_server_that_knows_one_spelling_means_it() -> None:
    assert same_names("sql", ["SQL", "sql", "x"], ollama=False) == ["sql"]
    assert same_names("Sql", ["SQL", "sql", "x"], ollama=False) == ["SQL", "sql"]
    assert same_names("m", ["x", "m:latest", "m"], ollama=True) == ["m", "m:latest"]


def test_all_addresses_of_a_machine_are_none_for_others() -> None:
    every = ["http://0.0.0.0:1", "[::]:1", "http://[0:0:0:0:0:0:0:0]", "0:1", "http://0x0/", "[::ffff:0.0.0.0]"]
    others = ["::1", "http://[::1]", "http://10.0.0.0", "http://0.0.0.1", "http://0a", "http://[::ffff:127.0.0.1]"]
    assert [url for url in (*every, *others) if is_unspecified(url)] == every
