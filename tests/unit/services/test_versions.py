"""Which instances a request for a version may go to, and which version is named there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.services.served_versions import MOST_VERSIONS, ListedVersions, read_versions
from model_registry.services.versions import Listed, ServedVersion, Versions

OLD, NEW = "20261101_0900", "20261130_0900"


def instance(service_id: str, version: str | None = None, **more: Any) -> ServiceInstance:
    columns = {
        "id": service_id,
        "service_id": service_id,
        "model_service_id": "1",
        "service_url": f"http://{service_id}",
    }
    return ServiceInstance.read({**columns, "capabilities": ["prediction"], "model_version": version, **more})


def versions(instances: list[ServiceInstance], listed: Listed | None = None, **service: Any) -> Versions:
    return Versions(ModelService.read({"id": "1", "model_type": "LSTM", **service}), instances, listed or {})


def places(found: Versions, requested: str | None = None, chance: float = 0.0) -> dict[str, tuple[int, str | None]]:
    """Instance -> (tier, the version that is named there)."""
    targets = found.targets(requested, chance=chance)
    return {target.key.removeprefix("instance:"): (target.tier, target.version) for target in targets}


def listing(**names: list[str]) -> Listed:
    return {service_id: [ServedVersion(name) for name in listed] for service_id, listed in names.items()}


def test_without_versions_all_instances_answer_and_none_is_named() -> None:
    assert places(versions([instance("a"), instance("b")])) == {"a": (0, None), "b": (0, None)}


@pytest.mark.parametrize("requested", [None, "latest"])
def test_the_newest_answers_and_older_ones_only_while_it_cannot(requested: str | None) -> None:
    found = versions([instance("a"), instance("b")], listing(a=[OLD], b=[OLD, NEW]))

    assert places(found, requested) == {"a": (1, OLD), "b": (0, NEW)}


def test_the_date_of_training_counts_and_not_the_name() -> None:
    then = datetime(2026, 11, 1, tzinfo=UTC)
    listed = {"a": [ServedVersion("zebra", then)], "b": [ServedVersion("ant", then.replace(day=2))]}

    assert versions([instance("a"), instance("b")], listed).names == ["ant", "zebra"]


def test_versions_without_a_date_come_after_those_with_one_the_higher_number_first() -> None:
    found = versions([instance(v, v) for v in ("v9", "v10", "v2")] + [instance("dated", OLD)])

    assert found.names == [OLD, "v10", "v9", "v2"]


def test_what_is_asked_for_by_name_goes_nowhere_else() -> None:
    found = versions([instance("a"), instance("b"), instance("c", OLD)], listing(a=[OLD], b=[OLD, NEW]))

    assert places(found, OLD) == {"a": (0, OLD), "b": (0, OLD), "c": (0, None)}
    assert places(found, NEW) == {"b": (0, NEW)}
    assert places(found, "20200101_0000") == {}


def test_the_selected_version_answers_alone() -> None:
    found = versions([instance("a", "v1"), instance("b", "v2")], selected_version="v1", version_weights={"v2": 1})

    assert places(found) == {"a": (0, None)}
    assert places(found, "latest") == {"a": (0, None)}
    assert places(found, "v2") == {"b": (0, None)}
    assert places(versions([instance("b", "v2")], selected_version="v1")) == {}


def test_selected_latest_overrules_the_weights() -> None:
    found = versions([instance("a", "v1"), instance("b", "v2")], selected_version="latest", version_weights={"v1": 1})

    assert places(found) == {"a": (1, None), "b": (0, None)}


def test_weights_that_are_all_0_are_none_so_the_newest_answers() -> None:
    found = versions([instance("a", "v1"), instance("b", "v2")], version_weights={"v1": 0, "v2": 0})

    assert places(found, chance=0.9) == {"a": (1, None), "b": (0, None)}


def test_weights_divide_the_requests_and_what_has_none_gets_none() -> None:
    instances = [instance(name, name) for name in ("v1", "v2", "v3")]
    found = versions(instances, version_weights={"v1": 1, "v2": 3, "gone": 5})

    first = [next(t.key for t in found.targets(chance=part / 8) if t.tier == 0) for part in range(8)]
    assert first == ["instance:v2"] * 6 + ["instance:v1"] * 2
    assert places(found, chance=0.999) == {"v1": (0, None), "v2": (1, None)}
    assert places(found, chance=0.0) == {"v2": (0, None), "v1": (1, None)}


def test_an_instance_that_says_nothing_of_versions_takes_what_names_none() -> None:
    found = versions([instance("a"), instance("b", "v1")])

    assert places(found) == {"a": (0, None), "b": (0, None)}
    assert places(found, "v1") == {"b": (0, None)}


def test_what_is_drained_is_a_target_that_takes_nothing() -> None:
    (target,) = versions([instance("a", status="draining")]).targets()

    assert not target.accepts


def test_only_what_trains_has_a_grace_and_the_model_service_sets_it() -> None:
    trainer = instance("a", capabilities=["training", "prediction"])

    graces = [
        found.targets()[0].grace_seconds
        for found in (versions([trainer]), versions([trainer], training_grace_seconds=60), versions([instance("b")]))
    ]

    assert graces == [86400, 60, 0]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ([OLD, NEW], [OLD, NEW]),
        ({"models": [OLD]}, [OLD]),
        ([{"model_name": OLD, "training_date": "2026-11-01T09:00:00"}], [OLD]),
        ({"models": {OLD: {"training_date": 1793000000}}}, [OLD]),
        ([{"name": "a"}, {"title": "b"}, 3, "", None], ["a"]),
        ({"detail": "Not Found"}, []),
        ("models", []),
        (None, []),
    ],
)
def test_lists_are_read_as_services_write_them(content: Any, names: list[str]) -> None:
    assert [version.name for version in read_versions(orjson.dumps(content))] == names


def test_a_list_that_is_no_json_is_none() -> None:
    assert read_versions(b"<html>") == ()


def test_dates_are_read_in_any_spelling() -> None:
    content = [{"name": "a", "training_date": "2026-11-30"}, {"name": "b", "training_date": "yesterday"}]

    assert read_versions(orjson.dumps(content)) == (
        ServedVersion("a", datetime(2026, 11, 30, tzinfo=UTC)),
        ServedVersion("b"),
    )


def test_a_change_of_what_is_listed_is_another_generation() -> None:
    listed = ListedVersions()
    first = listed.generation
    listed.put("a", ())
    assert listed.generation is first
    listed.put("a", (ServedVersion("v1"),))
    second = listed.generation
    listed.put("a", (ServedVersion("v1"),))
    assert listed.generation is second is not first
    listed.keep_only({"b"})
    assert (listed.generation is second, listed.by_instance) == (False, {})


@pytest.mark.parametrize("first", [[None], ["odd"] * 5])
def test_of_a_list_without_end_only_the_last_entries_are_looked_at(first: list[Any]) -> None:
    last = [f"v{n}" for n in range(MOST_VERSIONS - 1)]

    assert [version.name for version in read_versions(orjson.dumps([*first, *last, None]))] == last
