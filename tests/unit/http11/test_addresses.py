"""Which server a URL means, and the addresses that nobody may make us connect to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from model_registry.http11.addresses import Origin, refusal_of


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("http://lstm:8001/v1", Origin("http", "lstm", 8001), b"lstm:8001"),
        ("HTTP://LSTM", Origin("http", "lstm", 80), b"lstm"),
        ("https://api.example", Origin("https", "api.example", 443), b"api.example"),
        ("https://api.example:80/", Origin("https", "api.example", 80), b"api.example:80"),
        ("http://[::1]:9000", Origin("http", "::1", 9000), b"[::1]:9000"),
        ("http://bücher.example", Origin("http", "bücher.example", 80), b"xn--bcher-kva.example"),
    ],
)
def test_a_url_names_a_server(url: str, origin: Origin, authority: bytes) -> None:
    assert Origin.of(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    ["ftp://a", "a:80", "http://", "http://u:p@a", "http://a:0", "http://a:65536", "http://a:x", "http://[::1", ""],
)
def test_what_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Origin.of(url)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fd00:ec2::254",
        "fd00:ec2::254%eth0",
        "fd20:ce::254",
        "168.63.129.16",
        "100.100.100.200",
        "::ffff:100.100.100.200",
    ],
)
def test_link_local_addresses_and_metadata_services_are_refused(address: str) -> None:
    assert (refusal_of(ip_address(address)) or "").startswith(f"{ip_address(address)} is ")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.17.0.1", "8.8.8.8", "fd00::1", "::ffff:10.0.0.1"]
)
def test_addresses_where_model_servers_are_may_be_connected_to(address: str) -> None:
    assert refusal_of(ip_address(address)) is None
