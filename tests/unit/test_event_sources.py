"""What a stream says of a message in the subject where it is acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.workers.event_sources import Delivery, delivered

OLD = "$JS.ACK.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"
NEW = "$JS.ACK.hub.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7.random"
PLAIN_NEW = "$JS.ACK._.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"


@pytest.mark.parametrize("reply", [OLD, NEW, PLAIN_NEW], ids=["to 2.8", "with a domain", "without a domain"])
def test_it_says_what_nats_py_reads(reply: str) -> None:
    message = Msg(_client=Client(), reply=reply)

    assert delivered(message) == Delivery(message, message.metadata.timestamp, message.metadata.num_delivered)
    assert delivered(message) == Delivery(message, datetime(2026, 2, 25, 6, 13, 20, 123457, UTC), 2)


@pytest.mark.parametrize("reply", ["", "_INBOX.abc", "$JS.API.CONSUMER.MSG.NEXT.a.b", "$JS.ACK.short"])
def test_other_subjects_are_no_acknowledgement(reply: str) -> None:
    assert delivered(Msg(_client=Client(), reply=reply)) is None
