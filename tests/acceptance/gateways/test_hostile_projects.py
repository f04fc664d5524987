"""Projects that try to read or reach something of this machine, watched by detectors: each protection stops them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.confinement.walls import missing_walls
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.gateways.tensorzero.validation.validate import check_project
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from support.canaries import Canaries, canaries
from support.hostile_projects import Project, drawn, harmless, known_attacks, load_naively
from support.profiles import attack_examples

Asked = Callable[[Project], object]

walled = pytest.mark.skipif(bool(missing_walls()), reason="this kernel has no walls")


@pytest.fixture(scope="module")
def birds() -> Iterator[Canaries]:
    with tempfile.TemporaryDirectory(prefix="canary-") as directory, canaries(Path(directory)) as found:
        yield found


@pytest.fixture(scope="module")
def both() -> Iterator[Asked]:
    """A check like the service's."""
    with ValidatorProcess(timeout_s=10) as process:
        yield lambda project: process.check(project.sent(), gateway=True, configuration=project.configuration)


@pytest.fixture(scope="module")
def staging_alone() -> Iterator[Asked]:
    """The gateway's process has no sandbox."""
    with GatewayProcess(10, child="support.children.gateway_without_walls") as gateway_process:
        yield lambda project: check_project(project.sent(), gateway_process, configuration=project.configuration)


@pytest.fixture(scope="module")
def process_alone() -> Iterator[Asked]:
    """Every project is staged and loaded, whatever it contains."""
    with GatewayProcess(10) as gateway_process:
        yield lambda project: _naively(gateway_process, project)


@pytest.fixture(scope="module")
def neither() -> Iterator[Asked]:
    with GatewayProcess(10, child="support.children.gateway_without_walls") as gateway_process:
        yield lambda project: _naively(gateway_process, project)


def _naively(gateway_process: GatewayProcess, project: Project) -> object:
    verdict = load_naively(gateway_process, project.sent(), project.configuration)
    shutil.rmtree(gateway_process.directory / "project")
    return verdict


ATTACKS = [
    *("schema", "tool", "rebased", "draft 4", "template", "network", "credential"),
    *("file as configuration", "glob as configuration"),
]


@pytest.mark.parametrize("name", ATTACKS)
def test_without_walls_every_canary_sings(name: str, birds: Canaries, neither: Asked) -> None:
    """Otherwise the tests below would prove nothing."""
    assert birds.touched(neither(known_attacks(birds)[name]))


def test_all_attacks_are_tried(birds: Canaries) -> None:
    assert set(ATTACKS) == known_attacks(birds).keys()


@walled
@pytest.mark.parametrize("name", ATTACKS)
def test_with_any_wall_none_does(
    name: str, birds: Canaries, both: Asked, staging_alone: Asked, process_alone: Asked
) -> None:
    for asked in (both, staging_alone, process_alone):
        assert birds.touched(asked(known_attacks(birds)[name])) == []


@walled
def test_what_is_harmless_is_accepted(both: Asked, staging_alone: Asked, process_alone: Asked) -> None:
    assert [asked(harmless()).accepted for asked in (both, staging_alone, process_alone)] == [True] * 3  # type: ignore[attr-defined]


@walled
@attack_examples()
@pytest.mark.property
@given(data=st.data())
def test_whatever_is_sent_touches_nothing(data: st.DataObject, birds: Canaries, both: Asked) -> None:
    assert birds.touched(both(data.draw(drawn(birds)))) == []


@attack_examples()
@pytest.mark.property
@given(data=st.data())
def test_nor_with_the_staging_alone(data: st.DataObject, birds: Canaries, staging_alone: Asked) -> None:
    assert birds.touched(staging_alone(data.draw(drawn(birds)))) == []


@walled
@attack_examples()
@pytest.mark.property
@given(data=st.data())
def test_nor_with_the_process_alone(data: st.DataObject, birds: Canaries, process_alone: Asked) -> None:
    assert birds.touched(process_alone(data.draw(drawn(birds)))) == []
