"""docs/gpu-events.md is true: its examples are read as it says, its numbers are the code's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from model_registry.background import change_publisher as announcements
from model_registry.fleet import event_recorder, rejected
from model_registry.fleet import jetstream_setup as event_plan
from model_registry.fleet.event_fields import CLOCK_TOLERANCE
from model_registry.fleet.gpu_events import read_event
from model_registry.fleet.status_messages import MOST_LISTED
from model_registry.messaging.subjects import EVENT_SUBJECTS, LOADED, REJECTED, STATUS, UNLOADED, UPDATED
from model_registry.settings import Settings
from support.paths import ROOT

SETTINGS = Settings()
PAGE = (ROOT / "docs/gpu-events.md").read_text()


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Subject, by the heading above it, and payload."""
    found = re.findall(r"^##+ .*?`([a-z.0-9]+)`$|```json\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
    subject, pairs = "", []
    for heading, payload in found:
        subject = heading or subject
        if payload:
            pairs.append((subject, json.loads(payload)))
    return pairs


@pytest.mark.parametrize(("subject", "payload"), [pair for pair in examples() if pair[0] in EVENT_SUBJECTS], ids=str)
def test_an_example_on_the_page_is_understood(subject: str, payload: dict[str, Any]) -> None:
    raw = json.dumps(payload).encode()

    heard = read_event(subject, raw, received_at=datetime.now(UTC), default_node="default")

    assert heard.events
    assert heard.problems == []


def test_the_page_has_an_example_of_every_subject() -> None:
    assert {subject for subject, _ in examples()} == {LOADED, UNLOADED, STATUS, REJECTED, UPDATED}


def test_the_example_of_a_rejection_is_what_its_payload_gets() -> None:
    (rejection,) = [payload for subject, payload in examples() if subject == REJECTED]

    with pytest.raises(Exception, match=re.escape(rejection["reason"])):
        read_event(
            rejection["subject"], rejection["payload"].encode(), received_at=datetime.now(UTC), default_node="default"
        )


@pytest.mark.parametrize(
    "words",
    [
        f"at most {MOST_LISTED:,} of them",
        f"up to {event_recorder.MOST_EVENTS:,} events in one transaction",
        f"the first {rejected.SHOWN_BYTES // 1024} KiB",
        "More than a minute ahead" if CLOCK_TOLERANCE.total_seconds() == 60 else "?",
        f"stream | `{event_plan.STREAM}` | `{event_plan.GPU_EVENTS.kept}`",
        f"{SETTINGS.stream_max_age_hours / 24:.0f} days and {SETTINGS.stream_max_mb} MiB",
        f"consumer | `{event_plan.CONSUMER}`",
        f"within {event_plan.ACK_WAIT_SECONDS} s; at most {SETTINGS.events_in_flight:,} on their way",
        *(f"`{kind}`" for kind in announcements.RESOURCES.values()),
    ],
)
def test_the_page_says_what_the_code_does(words: str) -> None:
    assert words in PAGE
