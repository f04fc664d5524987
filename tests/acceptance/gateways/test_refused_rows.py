"""Of a configuration that the real gateway refuses, the rows that cause it are left out, and all others published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from model_registry.entities.change import Operation
from model_registry.gateways.kind import Files
from model_registry.gateways.publishing.publishable import Outcome, Selector
from model_registry.gateways.publishing.published import Published
from model_registry.gateways.publishing.renderer import GatewayRenderer
from model_registry.gateways.scope import default_gateway
from model_registry.gateways.tensorzero.kind import TENSORZERO
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.gateways.tensorzero.validation.validate import ValidationResult
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from support.catalogue import add_mapping, add_model, add_provider, get
from support.catalogues import Catalogue
from support.replica import Replica
from support.waiting import until

PATH_KEY = {"api_key_location": "path_from_env::KEY"}
"""A location that no provider takes."""


class CountingValidator(TensorZeroChecker):
    checks = 0

    async def check(self, files: Files, *, loader: bool) -> ValidationResult:
        CountingValidator.checks += 1
        return await super().check(files, loader=loader)


class Rows(Catalogue):
    """A catalogue with sound rows of each kind, to which a test adds mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.local = self.provider()
        self.good = self.model(self.local, "good")
        for number in range(5):
            self.mapping(self.model(self.local, f"m{number}"), function_name=f"f{number}")
        self.alias(self.good, "another")

    def variant(self, function_name: str, variant_name: str = "v", **tensorzero: Any) -> None:
        self.mapping(self.good, variant_name, function_name=function_name, tensorzero=tensorzero)

    def file(self, path: str, content: str) -> None:
        self._add("config_files", {"path": path, "content": content})

    def section(self, name: str, value: dict[str, Any]) -> None:
        self.operations.append(
            Operation("config_sections", "insert", f"section-{name}", {"name": name, "value": value})
        )


def broken_template(rows: Rows) -> None:
    rows.file("broken.minijinja", "{% if")
    rows.variant("sound")
    rows.variant("bad", "one", system_template="broken.minijinja")
    rows.variant("bad", "sound")
    rows.variant("worse", "two", system_template="broken.minijinja")


def template_with_variables(rows: Rows) -> None:
    rows.file("variables.minijinja", "{{ name }}")
    rows.variant("bad.name and:signs", "v.1 x", user_template="variables.minijinja")


def model_with_an_alias(rows: Rows) -> None:
    bad = rows.model(rows.local, "zzz", tensorzero={"provider": PATH_KEY})
    rows.alias(bad, "aaa")
    rows.mapping(bad, "bad", function_name="uses-it")
    rows.variant("uses-it", "sound")
    rows.mapping(bad, "bad", function_name="uses-only-it")


def one_of_two_providers(rows: Rows) -> None:
    rows.model(rows.provider("second"), "good", tensorzero={"provider": PATH_KEY})


def whole_provider(rows: Rows) -> None:
    bad = rows.provider("bad", tensorzero=PATH_KEY)
    for number in range(30):
        rows.model(bad, f"bad{number}")
    rows.model(bad, "good")


def tool(rows: Rows) -> None:
    rows.file("list.json", "[]")
    rows.file("object.json", '{"type": "object"}')
    tools = {name: {"description": "d", "parameters": f"{name}.json"} for name in ("list", "object")}
    rows.section("tools", tools)
    for name in tools:
        rows.function(f"with-{name}", tensorzero={"tools": [name]})
        rows.variant(f"with-{name}")


def evaluator(rows: Rows) -> None:
    rows.function("bad", tensorzero={"evaluators": {"e": {"type": "regex", "must_match": "("}}})
    rows.variant("bad")


def template_of_an_evaluator(rows: Rows) -> None:
    rows.file("broken.minijinja", "{% if")
    variant = {"type": "chat_completion", "model": "good", "system_instructions": "broken.minijinja"}
    by_model = {"type": "llm_judge", "output_type": "float", "optimize": "max"}
    rows.function(
        "bad", tensorzero={"evaluators": {"e": {**by_model, "variants": {"v": {**variant, "json_mode": "on"}}}}}
    )
    rows.variant("bad")


def unknown_section(rows: Rows) -> None:
    rows.section("nonsense", {})


def settings(rows: Rows) -> None:
    rows.section("gateway", {"debug": True, "zzz": 1})


def everything(rows: Rows) -> None:
    for mistake in (broken_template, model_with_an_alias, tool, unknown_section, settings):
        mistake(rows)


CASES: dict[Callable[[Rows], None], set[str]] = {
    broken_template: {"mapping svc/bad/one", "mapping svc/worse/two"},
    template_with_variables: {"mapping svc/bad.name and:signs/v.1 x"},
    model_with_an_alias: {"model zzz at local"},
    one_of_two_providers: {"model good at second"},
    whole_provider: {"provider bad"},
    tool: {"section tools.list", "function svc/with-list"},
    evaluator: {"function svc/bad"},
    template_of_an_evaluator: {"function svc/bad"},
    unknown_section: {"section nonsense"},
    settings: {"section gateway"},
}
CASES[everything] = set.union(
    *(CASES[m] for m in (broken_template, model_with_an_alias, tool, unknown_section, settings))
)
MOST_CHECKS: dict[Callable[[Rows], None], int] = {everything: 8, whole_provider: 9}


class Publisher:
    """Publishes one catalogue after the other."""

    def __init__(self, process: ValidatorProcess) -> None:
        checker = CountingValidator(process=process)
        renderer = GatewayRenderer(TENSORZERO, 0)
        self._selector = Selector(renderer, checker, default_gateway(), publish="partial")
        self.now = Published()

    async def publish(self, rows: Rows) -> Outcome | None:
        CountingValidator.checks = 0
        self.now, outcome = await self._selector.select(rows.snapshot(), self.now, loader=True)
        return outcome

    @property
    def excluded(self) -> set[str]:
        return {f"{row.kind} {row.name}" for row in self.now.excluded}

    @property
    def text(self) -> str:
        assert self.now.served is not None
        return self.now.served.files["tensorzero.toml"].decode()

    def omitted(self, rows: Rows) -> dict[str, str]:
        rendered = GatewayRenderer(TENSORZERO, 0).of(self._selector.published(rows.snapshot()), default_gateway())
        return {f"{omission.kind} {omission.name}": omission.reason for omission in rendered.omitted}


@pytest.fixture(scope="module")
def process() -> Any:
    with ValidatorProcess() as one:
        yield one


@pytest.fixture
async def publisher(process: ValidatorProcess) -> Publisher:
    started = Publisher(process)
    sound = Rows()
    sound.section("gateway", {"debug": True})
    assert await started.publish(sound) == "accepted"
    return started


@pytest.mark.parametrize("mistake", CASES, ids=lambda mistake: mistake.__name__)
async def test_the_rows_at_fault_are_left_out_and_no_others(
    publisher: Publisher, mistake: Callable[[Rows], None]
) -> None:
    rows = Rows()
    if mistake not in {settings, everything}:
        rows.section("gateway", {"debug": True})
    mistake(rows)
    rows.model(rows.local, "later")
    outcome = await publisher.publish(rows)

    assert outcome == "partial"
    assert publisher.excluded == CASES[mistake]
    assert CountingValidator.checks <= MOST_CHECKS.get(mistake, 3)
    assert "[models.later]" in publisher.text
    assert "debug = true" in publisher.text  # the settings of the gateway are never left out

    rows.model(rows.local, "unrelated")
    assert await publisher.publish(rows) == "partial"
    assert (CountingValidator.checks, publisher.excluded) == (1, CASES[mistake])
    assert "[models.unrelated]" in publisher.text


async def test_what_needs_a_row_that_is_left_out_says_so(publisher: Publisher) -> None:
    rows = Rows()
    model_with_an_alias(rows)
    await publisher.publish(rows)

    omitted = publisher.omitted(rows)
    assert "its model is left out" in omitted["alias aaa"]
    assert "its model is left out" in omitted["variant svc_uses-it.bad"]
    assert omitted["function svc_uses-only-it"] == "none of its variants has a model that the gateway can use"
    assert "[functions.svc_uses-it.variants.sound]" in publisher.text


async def test_a_row_comes_back_when_the_file_that_it_names_is_mended(publisher: Publisher) -> None:
    broken, mended = Rows(), Rows()
    broken_template(broken)
    await publisher.publish(broken)
    mended.file("broken.minijinja", "fine")
    for name in ("one", "two"):
        mended.variant(name, system_template="broken.minijinja")

    assert await publisher.publish(mended) == "accepted"
    assert publisher.excluded == set()


async def test_settings_that_were_never_accepted_hold_everything_back(process: ValidatorProcess) -> None:
    rows, fresh = Rows(), Publisher(process)
    settings(rows)

    assert await fresh.publish(rows) == "refused"
    assert fresh.now.served is None
    assert fresh.now.refused is not None
    assert "zzz" in str(fresh.now.refused.reasons[0])
    assert "no rows were found" in str(fresh.now.refused.reasons[-1])


async def test_at_the_first_start_a_mistake_holds_back_nobody_else(
    start_replica: Any, database: psycopg.Connection
) -> None:
    quiet: Replica = await start_replica()
    await add_provider(quiet.client)
    await add_model(quiet.client, "good")
    await add_mapping(quiet.client, "agents/chat/main", "good")
    await add_mapping(quiet.client, "agents/bad/main", "good")
    with database.transaction():
        database.execute("insert into config_files (path, content) values ('broken.minijinja', '{% if')")
        database.execute(
            """update service_model_mappings set tensorzero = '{"system_template": "broken.minijinja"}'
            where function_name = 'bad'"""
        )
    fresh: Replica = await start_replica(MODEL_REGISTRY_CHECK_WITH_GATEWAY=True)
    await until(lambda: _validated_by_gateway(fresh))
    served, status = await fresh.client.get("/api/tensorzero/config"), await get(fresh.client, "/api/tensorzero/status")

    assert "[functions.agents_chat.variants.main]" in served.text
    assert "agents_bad" not in served.text
    assert [row["name"] for row in status["excluded"]] == ["agents/bad/main"]
    assert (status["served"]["provisional"], status["pending"]) == (False, False)


async def _validated_by_gateway(replica: Replica) -> bool:
    served = (await get(replica.client, "/api/tensorzero/status"))["served"]
    return bool(served and served["judge"].startswith("gateway"))
