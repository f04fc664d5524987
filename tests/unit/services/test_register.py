"""What a registration becomes: operations on a snapshot, and whose instance it is."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from model_registry.errors import Conflict, NotAllowed
from model_registry.services import register
from model_registry.services.author import Author
from model_registry.services.register import plan_registration
from model_registry.services.registration import Registration
from model_registry.snapshot.snapshot import Snapshot

OWNER = Author("owner", "http")
BODY = {"service_id": "a", "service_url": "http://a", "model_type": "LSTM", "capabilities": ["prediction"]}


def snapshot(**instance: Any) -> Snapshot:
    service = {"id": "1", "model_type": "LSTM"}
    row = {"id": "2", "model_service_id": "1", "registered_by": "owner", "registered_over": "http", **instance}
    row = {"service_id": "a", "service_url": "http://a", "capabilities": ["prediction"], **row}
    tables = {"model_services": [service], "service_instances": [row]}
    return Snapshot.from_document({"registry_id": "r", "revision": 1, "tables": tables})


def plan(known: Snapshot, author: Author = OWNER, **fields: Any) -> list[Any]:
    ids = map(str, count(10))
    registration = Registration.model_validate({**BODY, **fields})
    return plan_registration(known, registration, registration.service_url, author, lambda: next(ids))


def test_a_new_type_comes_with_its_first_instance() -> None:
    service, instance = plan(Snapshot.empty())

    assert (service.table, service.row) == ("model_services", {"model_type": "LSTM"})
    assert instance.row["model_service_id"] == service.id
    assert (instance.row["registered_by"], instance.row["registered_over"]) == ("owner", "http")


def test_only_what_differs_is_written() -> None:
    assert plan(snapshot()) == []
    assert plan(snapshot(weight=3)) == []
    assert [o.row for o in plan(snapshot(weight=3), weight=None, labels={"a": "b"})] == [
        {"weight": 1.0, "labels": {"a": "b"}}
    ]
    assert [o.row for o in plan(snapshot(), version="1", timeout=5)] == [{"model_version": "1", "timeout_seconds": 5}]


def test_another_type_moves_it() -> None:
    service, instance = plan(snapshot(), model_type="GRU")

    assert instance.row == {"model_service_id": service.id}


@pytest.mark.parametrize(
    ("author", "allowed"),
    [
        (OWNER, True),
        (Author("owner", "nats"), False),
        (Author("other", "http"), False),
        (Author("admin", "http", is_admin=True), True),
        (Author("admin", "http", is_admin=True, model_types=frozenset({"gru"})), True),
        (Author("owner", "http", model_types=frozenset({"lstm"})), True),
        (Author("owner", "http", model_types=frozenset({"gru"})), False),
    ],
)
def test_an_instance_belongs_to_who_registered_it(author: Author, *, allowed: bool) -> None:
    if allowed:
        assert plan(snapshot(), author, weight=2)
    else:
        with pytest.raises(NotAllowed):
            plan(snapshot(), author, weight=2)


def test_instances_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MOST_INSTANCES", 1)

    with pytest.raises(Conflict, match="the most that it keeps"):
        plan(snapshot(), service_id="b")

    assert plan(snapshot(), weight=2), "those that are there can be changed"
