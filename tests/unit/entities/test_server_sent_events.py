"""Server-sent events: what is written is read, however the stream is cut."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.server_sent_events import HEARTBEAT, Event, EventReader, event_bytes


def read(*pieces: bytes) -> list[Event]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.read(piece)]


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["job", "progress"]), st.text(max_size=5), st.integers(0, 99)), max_size=4
    ),
    cut=st.integers(1, 20),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_what_is_written_is_read_however_it_is_cut(events: list[tuple[str, str, int]], cut: int, end: bytes) -> None:
    written = [event_bytes(name, json.dumps({"text": text}).encode(), str(number)) for name, text, number in events]
    stream = (HEARTBEAT + HEARTBEAT.join(written) + b": the end\n").replace(b"\n", end)

    found = read(*(stream[at : at + cut] for at in range(0, len(stream), cut)))

    assert [(e.name, json.loads(e.data)["text"], int(e.id or "")) for e in found] == events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\ndata:b\n\n", [Event("message", "a\nb")]),
        (b"event: x\n\n", []),
        (b"\xef\xbb\xbfdata: \xff\n\n", [Event("message", "\ufffd")]),
        (b"data: not ended", []),
        (b"id: 1\nretry: 5\nother: 2\ndata\n\n", [Event("message", "", "1")]),
    ],
)
def test_the_corners_of_the_format(stream: bytes, events: list[Event]) -> None:
    assert read(stream) == events


@pytest.mark.parametrize("line", [b"data: x\n", b"data: x"])
def test_an_event_without_end_is_not_kept(line: bytes) -> None:
    reader = EventReader(most_bytes=100)
    pieces = [line] * 100
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        [event for piece in pieces for event in reader.read(piece)]


def test_the_mark_at_the_beginning_may_come_in_pieces() -> None:
    assert read(b"\xef", b"\xbb", b"\xbfdata: a\n", b"\n") == [Event("message", "a")]


def test_an_event_is_there_with_its_last_byte() -> None:
    reader = EventReader()

    assert list(reader.read(b"data: a\r\n\r")) == [Event("message", "a")]
    assert list(reader.read(b"\ndata: b\r\n\r\n")) == [Event("message", "b")]


def test_single_bytes_take_no_more_work_each_the_longer_the_event_is() -> None:
    def seconds(size: int) -> float:
        reader, began = EventReader(), time.process_time()
        events = [event for byte in b"data: " + b"x" * size + b"\n\n" for event in reader.read(bytes([byte]))]
        assert [len(event.data) for event in events] == [size]
        return time.process_time() - began

    # Four times the bytes; looked at again for each byte, it takes sixteen times as long.
    assert seconds(400_000) < 8 * seconds(100_000)
