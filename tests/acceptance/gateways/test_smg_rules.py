"""The real SMG judges the lists of workers that our rules judge, and takes whatever nodes say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model_registry.entities.gateway import Gateway
from model_registry.gateways.smg.render import MAIN_FILE, SmgRenderer
from support.catalogues import Catalogue
from support.processes import wait_until
from support.smg_lists import ACCEPTED, REFUSED, text_of
from support.smg_program import SmgProgram, running_smg, workers_in

ENDPOINTS = (
    *("http://[::1]:8000", "HTTPS://Host", "http://h/v1?x=1#f", "http://h/%zz", "http://ünï.example/v1", "http:///x"),
    *("http://h:99999", "http://1.2.3.4.5", "http://a b/v1", "http://h\\x/v1", "http://h/v1\n", "h:1", "ftp://h"),
    *("http://h", "https://h", "http://h:443", "http://h./v1", "http://[::0001]:8000/v1", "http://h//v1//"),
    *("http://h@2", "http://h:9@2/v1", "http://h:9/@2/v1", "http://%68:9", "http://h%2f:9", "http://1.2.3.4:08/v1"),
    *("http://h/../v1", "http://h/a;b=c/v1", "http://xn--a.example", "http://-h-", "http://h_h:1", "http://h:/v1"),
)


@pytest.fixture(scope="module")
def smg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmgProgram]:
    with running_smg(tmp_path_factory.mktemp("smg")) as program:
        yield program


def said(smg: SmgProgram, text: bytes) -> str:
    """What it says of a list that is not the one it has."""
    before = len(smg.program.said)
    smg.put(text)

    def look() -> str:
        lines = smg.program.said[before:].splitlines()
        return next((line for line in lines if "iscovery manifest" in line), "")

    return wait_until(look)


def test_smg_refuses_what_the_rules_refuse_and_keeps_what_it_had(smg: SmgProgram) -> None:
    assert "lists 2 worker(s)" in said(smg, text_of(ACCEPTED["ports apart"]))
    begin = len(smg.program.said)

    told = {name: said(smg, text_of(workers)) for name, workers in REFUSED.items()}

    assert {name for name, line in told.items() if "keeping the last good manifest" not in line} == set()
    assert "worker(s)" not in smg.program.said[begin:]


def test_smg_accepts_what_the_rules_accept(smg: SmgProgram) -> None:
    said(smg, text_of([{"url": "http://before:1"}]))
    for name, workers in ACCEPTED.items():
        assert f"lists {len(workers)} worker(s)" in said(smg, text_of(workers)), name


def test_whatever_nodes_say_of_themselves_smg_takes_the_list(smg: SmgProgram) -> None:
    """Otherwise one node could keep every later list from being used."""
    catalogue = Catalogue()
    provider = catalogue.provider("p", "openai_compatible")
    models = {name: catalogue.model(provider, f"m{i}", model_id=name) for i, name in enumerate(("a/b", 'ü"\\', ".."))}
    for node_id in ("gpu.1", 'a"b', "ü n", "x::y", "a/b", "[[x]]", "#c", "n" * 200):
        for name, model in models.items():
            said_there = {"provider_type": "a/b", "announced_model": name, "endpoint": "http://h:11434"}
            catalogue.deployment(model, node_id, **said_there)
    for number, endpoint in enumerate(ENDPOINTS):
        said_there = {"provider_type": "vllm", "announced_model": "a/b", "endpoint": endpoint}
        catalogue.deployment(models["a/b"], f"e{number}", **said_there)
    rendered = SmgRenderer().render(catalogue.snapshot(), Gateway(id="g", name="edge", kind="smg"))
    workers = workers_in(rendered.files[MAIN_FILE])
    used = {worker["id"].partition("/")[0] for worker in workers}
    left_out = {row.name.partition("/")[0] for row in rendered.omitted}
    assert {f"e{number}" for number in range(len(ENDPOINTS))} == {
        name for name in used ^ left_out if name[1:].isdigit()
    }

    assert f"lists {len(workers)} worker(s)" in said(smg, rendered.files[MAIN_FILE])
