"""States by health checks, set against what requests meet."""

from __future__ import annotations

from model_registry.services.dispatch.health import Health
from model_registry.services.dispatch.targets import ProbeResult

WELL = ProbeResult("ok", 200)
SLOW = ProbeResult("timeout")
GONE = ProbeResult("refused")


def probe(
    health: Health, *results: ProbeResult, in_flight: bool = False, grace_seconds: float = 0.0, now: float = 0.0
) -> tuple[str, bool]:
    """The state afterwards, and whether it ejects."""
    for result in results:
        health.probed(result, in_flight=in_flight, grace_seconds=grace_seconds, now=now)
    return health.state, health.ejects


def test_two_failed_checks_in_a_row_are_offline() -> None:
    health = Health()

    assert probe(health, SLOW) == ("degraded", False)
    assert probe(health, WELL, ProbeResult("status", 500)) == ("degraded", False)
    assert probe(health, SLOW) == ("offline", True)
    assert probe(health, WELL) == ("healthy", False)


def test_one_with_a_request_of_ours_is_busy_while_its_checks_only_time_out() -> None:
    health = Health()

    assert probe(health, *[SLOW] * 60, in_flight=True) == ("busy", False)
    assert probe(health, SLOW, SLOW) == ("offline", True)
    assert probe(Health(), *[ProbeResult("status", 500)] * 2, in_flight=True) == ("offline", True)


def test_a_trainer_is_busy_until_its_grace_ends() -> None:
    health = Health()

    assert probe(health, SLOW, grace_seconds=600) == ("busy", False)
    assert probe(health, SLOW, grace_seconds=600, now=599) == ("busy", False)
    assert probe(health, SLOW, SLOW, grace_seconds=600, now=600) == ("offline", True)


def test_a_refused_connection_is_offline_even_for_a_trainer() -> None:
    assert probe(Health(), GONE, in_flight=True, grace_seconds=600)[0] == "offline"


def test_a_model_server_that_says_503_at_first_is_warming_and_later_it_fails() -> None:
    loading = ProbeResult("status", 503)
    health = Health()

    assert probe(health, *[loading] * 5) == ("warming", True)
    assert probe(health, WELL, loading) == ("degraded", False)
    assert probe(health, GONE, loading) == ("warming", True)


def test_a_refused_key_is_a_mistake_of_configuration() -> None:
    assert probe(Health(), ProbeResult("status", 401)) == ("misconfigured", True)


def test_one_that_answers_requests_is_not_offline() -> None:
    health = Health()
    wrong_path = ProbeResult("status", 404, "GET /healthz")
    probe(health, wrong_path, wrong_path)

    health.answered()

    assert (health.state, health.ejects) == ("degraded", False)
    assert "404" in health.reason
    assert probe(health, wrong_path) == ("degraded", False)
    assert probe(health, wrong_path) == ("offline", True)
