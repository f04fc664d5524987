"""What GPU nodes say: every documented form is understood, and everything else is refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_registry.entities.deployment import DEPLOYMENT_STATUSES, DeploymentEvent, EventDraft
from model_registry.errors import InvalidEvent
from model_registry.fleet.gpu_events import NodeMessage, read_event
from model_registry.fleet.status_messages import MOST_LISTED
from model_registry.messaging.subjects import EVENT_SUBJECTS, LOADED, REJECTED, STATUS, UNLOADED
from support.paths import FIXTURES

FORMS = json.loads((FIXTURES / "gpu-events.json").read_text())
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DOCUMENTED = {"node_id": "gpu-a", "provider_type": "ollama", "model_id": "qwen3:8b", "status": "loaded"}


def read(subject: str, payload: Any) -> NodeMessage:
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return read_event(subject, raw, received_at=NOW, default_node="default")


def only(payload: dict[str, Any], subject: str = LOADED) -> DeploymentEvent:
    (event,) = read(subject, payload).events
    return event


def refused(payload: Any, subject: str = LOADED) -> str:
    with pytest.raises(InvalidEvent) as caught:
        read(subject, payload)
    return caught.value.message


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["name"])
def test_a_documented_form_means_these_events(form: dict[str, Any]) -> None:
    if form.get("rejected") and not form["events"]:
        assert form["rejected"] in refused(form["payload"], form["subject"])
        return

    heard = read(form["subject"], form["payload"])

    times = ("event_at", "loaded_at")
    parsed = [{**e, **{t: datetime.fromisoformat(e[t]) for t in times if e.get(t)}} for e in form["events"]]
    assert heard.events == [DeploymentEvent(**{**event, "event_at": event["event_at"] or NOW}) for event in parsed]
    assert form.get("rejected", "") in heard.problem
    assert bool(heard.problems) == ("rejected" in form)


def test_there_is_an_example_of_every_subject_and_of_every_status_but_lost() -> None:
    """Nodes do not say that they are lost: the registry finds that out."""
    assert {form["subject"] for form in FORMS} == set(EVENT_SUBJECTS)
    assert {event["status"] for form in FORMS for event in form["events"]} == set(DEPLOYMENT_STATUSES) - {"lost"}


@pytest.mark.parametrize("subject", ["mesh.minimax.model.loaded.v1", "mesh.gpu.model.loaded.v2", REJECTED, ""])
def test_another_subject_is_not_ours(subject: str) -> None:
    assert "The subject" in refused(DOCUMENTED, subject)


@pytest.mark.parametrize(
    ("key", "provider", "model"),
    [("a/b", "a", "b"), ("vllm/meta-llama/Llama-3.1-8B", "vllm", "meta-llama/Llama-3.1-8B"), ("a//b", "a", "/b")],
)
def test_a_key_is_split_at_its_first_slash_only(key: str, provider: str, model: str) -> None:
    event = only({"model_key": key})

    assert (event.provider_type, event.announced_model) == (provider, model)


@pytest.mark.parametrize("key", ["", "/", "a/", "/b", "ollama", 7, True, ["a/b"], {"a": "b"}])
def test_a_key_that_is_not_provider_and_model_is_refused(key: Any) -> None:
    assert "not <provider>/<model_id>" in refused({"model_key": key})


@pytest.mark.parametrize("said", [{}, {"node_id": None}, {"node_id": ""}])
def test_an_event_without_a_node_is_the_default_nodes(said: dict[str, Any]) -> None:
    assert only({"model_key": "a/b", **said}).node_id == "default"


@pytest.mark.parametrize("node", [False, 0, 5090, [], {}])
def test_a_node_of_another_type_is_refused_and_not_taken_for_the_default_one(node: Any) -> None:
    assert "node_id" in refused({**DOCUMENTED, "node_id": node})


def test_a_status_message_names_its_node_at_the_top_or_in_its_data() -> None:
    listed: dict[str, Any] = {"loaded_models": {"a/b": {}}}

    assert only({"node_id": "top", "data": {"node_id": "inner", **listed}}, STATUS).node_id == "top"
    assert only({"node_id": None, "data": {"node_id": "inner", **listed}}, STATUS).node_id == "inner"


@pytest.mark.parametrize(
    ("given", "when"),
    [
        (1709568000, "2024-03-04T16:00:00+00:00"),
        (1709568000.25, "2024-03-04T16:00:00.250000+00:00"),
        ("1709568000", "2024-03-04T16:00:00+00:00"),
        (1709568000123, "2024-03-04T16:00:00.123000+00:00"),
        ("2025-01-15T12:00:00Z", "2025-01-15T12:00:00+00:00"),
        ("2025-01-15T12:00:00", "2025-01-15T12:00:00+00:00"),
        ("2025-01-15T12:00:00.5+02:00", "2025-01-15T10:00:00.500000+00:00"),
        ("2025-01-15 12:00:00", "2025-01-15T12:00:00+00:00"),
        (0, "1970-01-01T00:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("key", ["ts", "timestamp"])
def test_a_time_is_epoch_seconds_or_milliseconds_or_iso(key: str, given: Any, when: str) -> None:
    assert only({"model_key": "a/b", key: given}).event_at == datetime.fromisoformat(when)


@pytest.mark.parametrize(
    "given",
    [True, False, "", "yesterday", -1, "0001-01-01T00:00:00+14:00", 1e300, 10**18, 10**30, [], {}, [1709568000]],
)
def test_what_is_not_a_time_is_refused(given: Any) -> None:
    payload = b'{"model_key": "a/b", "ts": %s}' % json.dumps(given).encode()

    assert refused(payload).startswith("ts: ")


@pytest.mark.parametrize("said", [{}, {"ts": None}, {"timestamp": None}])
def test_an_event_without_a_time_happened_when_it_was_received(said: dict[str, Any]) -> None:
    assert only({**DOCUMENTED, **said}).event_at == NOW


def test_null_says_nothing_and_the_next_form_counts() -> None:
    event = only(
        {
            "provider_type": None,
            "provider": "ollama",
            "model_id": "m",
            "vram_allocated_mb": None,
            "vram_used_mb": 5,
            "status": None,
            "ts": None,
            "timestamp": "2025-01-15T12:00:00Z",
        }
    )

    assert (event.provider_type, event.status, event.vram_allocated_mb) == ("ollama", "loaded", 5)
    assert event.event_at == datetime(2025, 1, 15, 12, tzinfo=UTC)


def test_a_clock_may_be_a_minute_ahead_and_no_more() -> None:
    a_minute, more = NOW + timedelta(minutes=1), NOW + timedelta(minutes=1, microseconds=1)

    assert only({**DOCUMENTED, "ts": a_minute.isoformat()}).event_at == a_minute
    assert only({**DOCUMENTED, "ts": more.isoformat()}).event_at == NOW
    assert only({**DOCUMENTED, "ts": "9999-12-31T23:59:59-14:00"}).event_at == NOW
    assert only({"data": {"loaded_models": {"a/b": {}}}, "ts": more.timestamp()}, STATUS).event_at == NOW


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (6144.4, 6144), (6143.5, 6144), ("6144", 6144), (None, None)])
@pytest.mark.parametrize("key", ["vram_allocated_mb", "vram_mb", "vram_used_mb"])
def test_memory_is_a_whole_number_of_mib(key: str, given: Any, expected: int | None) -> None:
    assert only({"model_key": "a/b", key: given}).vram_allocated_mb == expected


@pytest.mark.parametrize("given", [-1, -0.6, True, 2**31, 1e300, 10**30, "much", [1], {}])
def test_memory_that_cannot_be_is_refused(given: Any) -> None:
    payload = b'{"model_key": "a/b", "vram_mb": %s}' % json.dumps(given).encode()

    assert refused(payload).startswith("vram_allocated_mb: ")


@pytest.mark.parametrize("key", ["node_id", "provider_type", "model_id"])
@pytest.mark.parametrize("value", ["a\0b", "a\nb", "\x85", "x" * 301, 7, ["x"]])
def test_a_name_that_cannot_be_kept_is_refused_by_the_name_it_was_sent_under(key: str, value: Any) -> None:
    assert refused({**DOCUMENTED, key: value}).startswith(f"{key}: ")


@pytest.mark.parametrize("status", ["LOADED", "ready", "", True, 1, [], ["loaded"], {}])
@pytest.mark.parametrize("subject", [LOADED, UNLOADED])
def test_a_status_that_there_is_not_is_refused(subject: str, status: Any) -> None:
    assert refused({**DOCUMENTED, "status": status}, subject).startswith("status: ")


@pytest.mark.parametrize(("said", "means"), [("loaded", "unloaded"), ("loading", "unloaded"), ("error", "error")])
def test_what_is_published_as_unloaded_never_counts_as_loaded(said: str, means: str) -> None:
    assert only({**DOCUMENTED, "status": said}, UNLOADED).status == means


@pytest.mark.parametrize("field", ["endpoint", "error_message"])
@pytest.mark.parametrize("value", ["a\0b", "x" * 4001, 7])
def test_text_that_cannot_be_kept_is_refused(field: str, value: Any) -> None:
    assert refused({**DOCUMENTED, field: value}).startswith(f"{field}: ")


def test_of_further_fields_only_short_names_are_kept() -> None:
    said = {"model_name": "qwen3", "session_id": "x" * 301, "vram_remaining_mb": 5, "metadata": {"a": 1}}

    assert only({**DOCUMENTED, **said}).metadata == {"model_name": "qwen3"}


@pytest.mark.parametrize("data", [None, {}, [], {"loaded_models": None}, {"loaded_models": []}, "x"])
def test_a_status_message_needs_its_models(data: Any) -> None:
    assert "data.loaded_models" in refused({"data": data}, STATUS)


def test_an_entry_that_cannot_be_understood_leaves_the_others_standing() -> None:
    listed = {"a/good": {}, "a/bad": {"state": "melting"}, "none": {}, "a/list": [], "a/b": {"vram_mb": -1}}

    heard = read(STATUS, {"data": {"loaded_models": listed}})

    assert [event.announced_model for event in heard.events] == ["good"]
    assert [problem.where.removeprefix("data.loaded_models.") for problem in heard.problems] == [
        "a/b.vram_allocated_mb",
        "a/bad.status",
        "a/list",
        "none",
    ]


def test_one_message_cannot_list_more_models_than_one_transaction_takes() -> None:
    def listed(number: int) -> dict[str, Any]:
        return {"data": {"loaded_models": {f"a/{i}": {} for i in range(number)}}}

    assert len(read(STATUS, listed(MOST_LISTED)).events) == MOST_LISTED
    assert "1001 models" in refused(listed(MOST_LISTED + 1), STATUS)


@pytest.mark.parametrize("subject", EVENT_SUBJECTS)
def test_a_check_of_the_wiring_says_nothing(subject: str) -> None:
    assert read(subject, {"test": True}) == NodeMessage()
    assert read(subject, {"test": True, "note": "hello"}) == NodeMessage()


@pytest.mark.parametrize("payload", [{"test": "true"}, {"test": 1}, {"test": False}])
def test_what_only_looks_like_a_check_is_refused(payload: dict[str, Any]) -> None:
    assert "names no model" in refused(payload)


def test_a_model_is_recorded_also_when_the_sender_calls_it_a_test() -> None:
    assert only({**DOCUMENTED, "test": True}).announced_model == "qwen3:8b"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"nan",
        b'{"model_key": NaN}',
        b'{"model_key": "a/\\ud800"}',
        b"[" * 5000,
        b"null",
        b'"x"',
    ],
)
def test_what_is_not_a_json_object_is_refused(raw: bytes) -> None:
    assert "JSON" in refused(raw)


@pytest.mark.parametrize("deep", [b"[" * 1000 + b"]" * 1000, b'{"a":' * 1000 + b"1" + b"}" * 1000])
@pytest.mark.parametrize("key", [b"ts", b"model_key", b"vram_mb", b"status", b"node_id", b"endpoint", b"model_name"])
def test_json_as_deep_as_the_parser_takes_it_is_no_problem(key: bytes, deep: bytes) -> None:
    """Showing it in the reason would be: Python's repr fails where orjson does not."""
    raw = b'{"provider": "a", "model_id": "b", "%s": %s}' % (key, deep)

    if key == b"model_name":
        assert only(json.loads('{"provider": "a", "model_id": "b"}')) == read(LOADED, raw).events[0]
    else:
        assert len(refused(raw)) < 300


def test_a_reason_does_not_grow_with_the_payload() -> None:
    long = "x" * 900_000
    entries: dict[str, Any] = {f"{long[:1000]}{i}": {} for i in range(900)}

    assert len(refused({"model_key": long})) < 300
    assert len(refused({**DOCUMENTED, "ts": long})) < 300
    assert len(read(STATUS, {"data": {"loaded_models": entries}}).problem) < 1500


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)
VALID = [(form["subject"], form["payload"]) for form in FORMS if form["events"]]


def keys_of(value: Any) -> set[str]:
    if not isinstance(value, dict):
        return set()
    return set(value) | {key for inner in value.values() for key in keys_of(inner)}


KEYS = sorted(set().union(*(keys_of(payload) for _, payload in VALID)) | {"state", "endpoint", "session_id"})


def assert_understood_or_refused(subject: str, raw: bytes) -> None:
    heard, reason = NodeMessage(), ""
    try:
        heard = read(subject, raw)
    except InvalidEvent as error:
        reason = error.message or "none given"
    assert reason != "none given"
    for event in heard.events:
        wire = json.loads(orjson.dumps(event))
        checked = EventDraft.model_validate(wire)
        assert checked.model_dump() == {name: wire[name] for name in EventDraft.model_fields}
        assert event.event_at.tzinfo is not None
        assert event.event_at <= NOW + timedelta(minutes=1)
        assert "\0" not in json.dumps(wire, ensure_ascii=False)


@given(subject=st.sampled_from(EVENT_SUBJECTS), content=JSON)
def test_any_json_is_an_event_or_refused(subject: str, content: Any) -> None:
    assert_understood_or_refused(subject, json.dumps(content).encode())


@given(subject=st.sampled_from(EVENT_SUBJECTS), content=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_values_under_known_keys_are_an_event_or_refused(subject: str, content: dict[str, Any]) -> None:
    assert_understood_or_refused(subject, json.dumps(content).encode())


@given(st.sampled_from(VALID), st.data())
def test_a_valid_event_with_anything_changed_is_an_event_or_refused(
    valid: tuple[str, Any], data: st.DataObject
) -> None:
    subject, payload = valid
    changed = json.loads(json.dumps(payload))
    place = changed
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        if data.draw(st.booleans()):
            place[key] = data.draw(JSON)
        else:
            del place[key]
        break

    assert_understood_or_refused(subject, json.dumps(changed).encode())


@given(subject=st.sampled_from(EVENT_SUBJECTS), raw=st.binary())
@example(subject=LOADED, raw=b"\x00")
def test_any_bytes_are_an_event_or_refused(subject: str, raw: bytes) -> None:
    assert_understood_or_refused(subject, raw)


@given(st.sampled_from(VALID), st.data())
def test_a_valid_event_with_broken_bytes_is_an_event_or_refused(valid: tuple[str, Any], data: st.DataObject) -> None:
    subject, payload = valid
    raw = bytearray(orjson.dumps(payload))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    assert_understood_or_refused(subject, bytes(raw))
