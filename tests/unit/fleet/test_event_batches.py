"""How many events go into one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.node import StatusMessage
from model_registry.fleet.event_recorder import MOST_EVENTS, in_parts
from model_registry.fleet.event_sources import Delivery
from model_registry.fleet.gpu_events import NodeMessage

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EVENT = DeploymentEvent(node_id="n", provider_type="p", announced_model="m", status="loaded", event_at=NOW)


def message(models: int) -> Delivery:
    status = StatusMessage("n", NOW, NOW, "digest", listed=[EVENT] * models)
    return Delivery(Msg(_client=Client()), NOW, content=NodeMessage(status=status))


@given(st.lists(st.integers(1, MOST_EVENTS), max_size=12))
def test_no_transaction_takes_more_than_its_share_and_every_message_is_in_one(sizes: list[int]) -> None:
    read = [message(size) for size in sizes]

    parts = in_parts(read)

    assert [one for part in parts for one in part] == read
    assert all(0 < sum(one.content.size for one in part) <= MOST_EVENTS for part in parts)


def test_a_batch_of_small_messages_is_one_transaction() -> None:
    assert len(in_parts([message(1)] * MOST_EVENTS)) == 1
    assert len(in_parts([message(1)] * (MOST_EVENTS + 1))) == 2


def test_nothing_to_record_is_no_transaction() -> None:
    assert in_parts([]) == []
