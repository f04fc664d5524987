"""The number and kind of examples of property tests, in one place. Chosen with --hypothesis-profile.

`ci`, the default: few examples, the same in every run, so that a correct change never fails.
`local`: many examples, different in every run. Run it when you change code covered by a property: it finds more faults.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

LARGE_SHARE = 3
"""An example that is a whole project takes as long as dozens of small ones."""
STATES_TIMES = 5
"""An example of a state machine in memory is many small steps: few examples see few combinations."""
STACK_SHARE = 2
"""An example that writes to the real stack costs about a hundred times one that touches nothing outside the process."""


def register() -> None:
    """Register the profiles, with `ci` as default. A profile named on the command line is loaded afterwards."""
    # Neither limits the time to draw or run an example: that depends on the load of the machine.
    unhurried = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("ci", unhurried, max_examples=12, derandomize=True, database=None)
    settings.register_profile("local", unhurried, max_examples=300)
    settings.load_profile("ci")


def large_examples() -> settings:
    """Settings of a property whose every example is a whole project or catalogue."""
    return settings(max_examples=max(1, settings().max_examples // LARGE_SHARE))


def attack_examples() -> settings:
    """Settings of a property that an attacker would break: more examples, not shrunk, without health checks."""
    profile = settings()
    every = list(HealthCheck)
    return settings(max_examples=4 * profile.max_examples, phases=[Phase.generate], suppress_health_check=every)


def on_the_stack() -> settings:
    """Settings of a property whose examples share a database: each empties it first, so fixtures may persist."""
    profile = settings()
    checks = [*profile.suppress_health_check, HealthCheck.function_scoped_fixture]
    return settings(profile, max_examples=max(1, profile.max_examples // STACK_SHARE), suppress_health_check=checks)


def steps_of_machines() -> settings:
    """Settings of a state machine that touches nothing outside the process: more examples."""
    return settings(max_examples=STATES_TIMES * settings().max_examples)
