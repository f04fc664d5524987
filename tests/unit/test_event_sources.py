"""What a stream says of a message in the subject where it is acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.workers.event_sources import stored_at

OLD = "$JS.ACK.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"
NEW = "$JS.ACK.hub.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7.random"
PLAIN_NEW = "$JS.ACK._.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"


@pytest.mark.parametrize("reply", [OLD, NEW, PLAIN_NEW], ids=["to 2.8", "with a domain", "without a domain"])
def test_the_time_is_the_one_that_nats_py_reads(reply: str) -> None:
    assert stored_at(reply) == Msg(_client=Client(), reply=reply).metadata.timestamp
    assert stored_at(reply) == datetime(2026, 2, 25, 6, 13, 20, 123457, UTC)


@pytest.mark.parametrize("reply", ["", "_INBOX.abc", "$JS.API.CONSUMER.MSG.NEXT.a.b", "$JS.ACK.short"])
def test_other_subjects_are_no_acknowledgement(reply: str) -> None:
    assert stored_at(reply) is None
