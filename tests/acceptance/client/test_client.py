"""The blocking client against a separate service: a live copy, and its use while the service is unavailable."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from model_registry.client import Catalogue, Client, RetryPolicy
from model_registry.errors import RegistryUnreachable
from support.processes import Service, StartService

QUICK = RetryPolicy(attempts=2, first_pause=0.01, longest_pause=0.05)


def key_of(service: Service) -> str:
    return service.client.headers["Authorization"].removeprefix("Bearer ")


class Heard:
    """Collects what a listener received, for tests that wait for it."""

    def __init__(self) -> None:
        self.catalogues: list[Catalogue] = []
        self._told = threading.Condition()

    def __call__(self, catalogue: Catalogue) -> None:
        with self._told:
            self.catalogues.append(catalogue)
            self._told.notify_all()

    def until(self, count: int) -> Catalogue:
        with self._told:
            assert self._told.wait_for(lambda: len(self.catalogues) >= count, 20), self.catalogues
            return self.catalogues[-1]


def test_a_live_copy_follows_the_registry_and_outlives_it(start_service: StartService, tmp_path: Path) -> None:
    service = start_service()
    heard = Heard()
    with Client(service.url, key_of(service), cache_dir=tmp_path, patience=QUICK) as client:
        subscription = client.on_change(heard, wait=1)
        first = subscription.first()
        assert first is not None
        assert first.models == ()

        client.create_provider(name="lab", type="ollama", api_base="http://lab:11434/v1")
        client.create_model(name="qwen", model_id="qwen3:8b", provider="lab")
        while not heard.catalogues[-1].models:
            heard.until(len(heard.catalogues) + 1)
        assert heard.catalogues[-1].model("qwen3:8b").provider_name == "lab"
        assert client.catalogue().models == subscription.catalogue.models  # type: ignore[union-attr] # it has come

        service.program.stop(signal.SIGKILL)
        assert [m.name for m in client.catalogue().models] == ["qwen"]
        assert client.stale_seconds is not None
        with pytest.raises(RegistryUnreachable):
            client.delete_model("qwen")
        subscription.close(20)

    with Client(service.url, cache_dir=tmp_path, patience=QUICK) as later:
        copy = later.catalogue()
        assert copy.model("qwen").model_id == "qwen3:8b"
        assert 0 <= copy.age_seconds() < 60
