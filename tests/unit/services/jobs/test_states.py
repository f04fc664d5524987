"""What a job's phases allow: a training is sent at most once, whatever fails when, and its end is what happened."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from model_registry.entities.service_job import JobPhase, ServiceJob
from model_registry.services.jobs.states import (
    UNSENT,
    Report,
    first_phase,
    model_name,
    next_step,
    preparation_phase,
    report_of,
    training_phase,
    unsent,
)


def job(phase: JobPhase = "queued", flow: Literal["direct", "prepared"] | None = None) -> ServiceJob:
    return ServiceJob(
        id="j",
        model_type="LSTM",
        total_seconds=600,
        request_digest="d",
        created_by="c",
        phase=phase,
        training_flow=flow,
    )


@pytest.mark.parametrize(
    ("word", "report"),
    [
        ("preparing", "going_on"),
        ("ready", "done"),
        ("Completed", "done"),
        ("failed", "failed"),
        ("stopped", "failed"),
        ("unknown", "nothing"),
        ("in progress", "going_on"),
        ("", "going_on"),
    ],
)
def test_the_words_of_services_are_understood(word: str, report: Report) -> None:
    assert report_of({"status": word}) == report


@pytest.mark.parametrize(
    ("request_", "answer", "name"),
    [
        ({"model_name": "a", "config": {"model_name": "b"}}, {"model_name": "c"}, "c"),
        ({"model_name": "a", "config": {"model_name": "b"}}, {}, "a"),
        ({"config": {"model_name": "b"}}, {"model_name": ""}, "b"),
        ({"config": [1], "model_name": 7}, {}, "LSTM"),
        ({"model_name": "a"}, {"model_name": "x" * 301}, "a"),
        ({"model_name": "a\0b"}, {}, "LSTM"),
    ],
)
def test_the_model_is_called_what_the_service_calls_it(
    request_: dict[str, Any], answer: dict[str, Any], name: str
) -> None:
    assert model_name(request_, answer, "LSTM") == name


def test_a_direct_training_that_was_sent_is_given_up_by_others() -> None:
    assert next_step(job("training_sent", "direct")) == "give_up"
    assert next_step(job("training_sent", "prepared")) == "follow_training"


def test_an_end_of_which_the_service_never_confirmed_the_beginning_may_be_anothers() -> None:
    assert training_phase(job("training_sent", "prepared"), "done") == "unknown"
    assert preparation_phase(job("preparation_sent", "prepared"), "done") == "failed"


class Jobs(RuleBasedStateMachine):
    """One job, replicas that die between any two steps, and a service that counts what it carries out."""

    @initialize(flow=st.sampled_from(["direct", "prepared"]))
    def begin(self, flow: Literal["direct", "prepared"]) -> None:
        self.flow: Literal["direct", "prepared"] = flow
        self.stored = job()
        self.held: ServiceJob | None = self.stored
        self.recorded: JobPhase | None = None
        """What the owner has recorded that it is about to send, and has not sent."""
        self.preparations = self.trainings = 0
        self.service: Literal["idle", "preparing", "ready", "training", "done", "failed"] = "idle"

    @property
    def owns(self) -> bool:
        """Whether a replica works on it: the lease of one that died is over when another takes the job over."""
        return self.held is not None and not self.held.ended

    def record(self, **changes: Any) -> None:
        assert self.held is not None
        self.held = self.stored = self.stored.model_copy(update=changes)

    @precondition(lambda self: self.owns and self.recorded is None)
    @rule()
    def record_the_next_request(self) -> None:
        assert self.held is not None
        step = next_step(self.held)
        if step == "send_first":
            self.record(phase=first_phase(self.flow), training_flow=self.flow)
            self.recorded = self.stored.phase
        elif step == "start_training":
            self.record(phase="training_sent")
            self.recorded = "training_sent"
        elif step == "give_up":
            self.record(phase="unknown")

    @precondition(lambda self: self.owns and self.recorded is not None)
    @rule(outcome=st.sampled_from(["carried out", "answer lost", "not connected"]))
    def send(self, outcome: str) -> None:
        assert self.held is not None
        sent, self.recorded = self.recorded, None
        if outcome == "not connected":
            self.record(phase=unsent(self.held))
            return
        if sent == "preparation_sent":
            self.preparations += 1
            self.service = "preparing"
            if outcome == "carried out":
                self.record(phase="preparing")
            return
        self.trainings += 1
        self.service = "training"
        if outcome == "carried out":
            self.record(phase="training" if self.flow == "prepared" else "succeeded")
        elif self.flow == "direct":
            self.record(phase="unknown")

    @precondition(lambda self: self.owns and self.recorded is None)
    @rule()
    def ask_the_service(self) -> None:
        assert self.held is not None
        step = next_step(self.held)
        if step == "follow_preparation":
            seen: dict[str, Report] = {"preparing": "going_on", "ready": "done", "failed": "failed"}
            self.record(phase=preparation_phase(self.held, seen.get(self.service, "nothing")))
        elif step == "follow_training":
            seen = {"training": "going_on", "done": "done", "failed": "failed"}
            self.record(phase=training_phase(self.held, seen.get(self.service, "nothing")))

    @rule(good=st.booleans())
    def time_passes_at_the_service(self, good: bool) -> None:  # noqa: FBT001 (drawn)
        if self.service == "preparing":
            self.service = "ready" if good else "failed"
        elif self.service == "training":
            self.service = "done" if good else "failed"

    @rule()
    def the_service_restarts(self) -> None:
        self.service = "idle"

    @rule()
    def the_owner_is_killed(self) -> None:
        self.held = self.recorded = None

    @precondition(lambda self: self.held is None and not self.stored.ended)
    @rule()
    def another_takes_it_over(self) -> None:
        self.held = self.stored

    @precondition(lambda self: self.stored.phase in UNSENT)
    @rule()
    def a_person_cancels_it(self) -> None:
        """The owner finds out when it records the next step: the database refuses it."""
        self.stored = self.stored.model_copy(update={"phase": "cancelled"})
        self.held = self.recorded = None

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        if hasattr(self, "stored"):
            assert self.trainings <= 1
            assert self.preparations <= 1

    @invariant()
    def the_end_is_what_happened(self) -> None:
        if not hasattr(self, "stored"):
            return
        if self.stored.phase == "succeeded":
            assert self.trainings == 1
        if self.stored.phase == "cancelled":
            assert self.trainings == 0
        if self.stored.phase == "failed" and self.flow == "prepared" and self.trainings:
            assert self.service in ("failed", "idle")


TestJobs = Jobs.TestCase
