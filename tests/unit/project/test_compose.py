"""The deployment files say what they must, checked without a Docker engine.

`compose-spec` validates the form: it reads every short syntax (ports, durations, conditions) as the
specification has it, where the specification's JSON schema sees only strings. It does not replace variables, so
that is done here, from `.env.example`; which proves that page complete.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
import typer
import yaml
from compose_spec import PyOptions
from pydantic import AliasChoices

from model_registry.cli import app as commands
from model_registry.devstack.smg import FOLLOWING
from model_registry.settings import Settings
from support.paths import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCK = (ROOT / "requirements.lock").read_text()

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")
SECRET = re.compile(r"(PASSWORD|TOKEN|SECRET|KEY)$")

# What `model-registry db migrate` takes beside the settings: libpq's own variable, and the password it sets.
OF_THE_MIGRATE_STEP = {"PGPASSWORD", "AUTHENTICATOR_PASSWORD"}


def interpolated(text: str, values: dict[str, str]) -> str:
    """Replace variables as compose does; a required one that is missing is an error."""

    def value_of(match: re.Match[str]) -> str:
        name, kind, alternative = match["name"], match["kind"], match["text"]
        if value := values.get(name):
            return value
        if kind == "-":
            return str(alternative)
        raise KeyError(name)

    return VARIABLE.sub(value_of, text)


def example_variables(line: str) -> set[str]:
    return set(re.findall(line, (ROOT / ".env.example").read_text(), re.MULTILINE))


def asked_for(kind: str) -> set[str]:
    return {match["name"] for match in VARIABLE.finditer(COMPOSE) if match["kind"] == kind}


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


REQUIRED = example_variables(r"^([A-Z][A-Z0-9_]*)=$")
OPTIONAL = example_variables(r"^# ([A-Z][A-Z0-9_]*)=")
SAMPLE = {name: f"sample-{name.lower()}" for name in REQUIRED}
RAW: dict[str, Any] = yaml.safe_load(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = RAW["services"]
OTHER_GATEWAYS = ("litellm", "smg")
AGENTS = ("gateway-sync", "litellm-sync", "smg-sync")
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def judged(text: str) -> list[str]:
    # The one value of compose that `compose-spec` does not know: it expects an address here.
    text = text.replace(":host-gateway", ":127.0.0.1")
    project = PyOptions(apply_merge=True).from_yaml(interpolated(text, SAMPLE))
    project.validate()
    return project.service_names()


def test_the_compose_file_follows_the_specification() -> None:
    assert set(judged(COMPOSE)) == set(SERVICES)


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        ("condition: service_healthy", "condition: service_well", "unknown variant `service_well`"),
        ("start_interval: 1s", "start_interval: soon", "duration `soon`"),
        ("restart: unless-stopped", "restart: sometimes", "unknown variant `sometimes`"),
        ("tmpfs: [/tmp]", "tempfs: [/tmp]", "`tempfs`"),
        ("}:8110", "}:eighty", "`eighty`"),
        ("image: postgrest/", "image: twice\n    image: postgrest/", "duplicate entry"),
    ],
)
def test_the_judge_refuses_what_is_wrong(right: str, wrong: str, why: str) -> None:
    assert right in COMPOSE
    with pytest.raises(ValueError, match=why):
        judged(COMPOSE.replace(right, wrong))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_profile_and_other_gateways_their_own(name: str) -> None:
    own = next((kind for kind in OTHER_GATEWAYS if name.startswith(kind)), "orchestration")
    assert SERVICES[name]["profiles"] == [own]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].rpartition("/")[2].partition(":")
    assert re.search(r"\d", tag), "a tag that says a version"


def test_the_services_asked_for_are_there() -> None:
    images = {service["image"].split(":")[0] for service in SERVICES.values()}
    assert images == {
        "postgres",
        "postgrest/postgrest",
        "nats",
        "pmoves-model-registry",
        "tensorzero/gateway",
        "ghcr.io/berriai/litellm",
        "lightseekorg/smg",
        "prom/prometheus",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_keeps_running_is_restarted_and_watched(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["deploy"]["resources"]["limits"]["memory"]


def test_who_is_waited_for_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for dependency, how in service.get("depends_on", {}).items():
            once = SERVICES[dependency]["restart"] == "no"
            assert how["condition"] in (
                {"service_completed_successfully"} if once else {"service_healthy", "service_started"}
            )


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(interpolated(port, SAMPLE).startswith("127.0.0.1:") for port in published)


def test_what_is_kept_is_in_named_volumes_and_the_rest_is_read_only() -> None:
    for service in SERVICES.values():
        for source, _, target in (volume.partition(":") for volume in service.get("volumes", [])):
            assert source in RAW["volumes"] or target.endswith(":ro")
            assert not source.startswith("./") or (ROOT / source).is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_the_file(name: str) -> None:
    for variable, value in environment_of(SERVICES[name]).items():
        if SECRET.search(variable):
            assert VARIABLE.fullmatch(value.strip('"')), f"{variable} comes from .env"
        assert not re.search(r"://[^@/]*:[^@/]+@", VARIABLE.sub("", value)), f"{variable} holds a password"


def test_secrets_are_required_and_the_example_names_every_variable() -> None:
    assert asked_for("?") == REQUIRED
    assert asked_for("-") == OPTIONAL
    assert asked_for("") == set()
    assert {name for name in REQUIRED if SECRET.search(name)} == REQUIRED


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_a_missing_secret_is_refused(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        interpolated(COMPOSE, {name: value for name, value in SAMPLE.items() if name != missing})


def test_the_service_is_told_nothing_that_it_does_not_know() -> None:
    known = set(OF_THE_MIGRATE_STEP)
    for field in Settings.model_fields.values():
        choices = field.validation_alias or field.alias
        names = choices.choices if isinstance(choices, AliasChoices) else [choices]
        known |= {str(name) for name in names}
    for service in OURS.values():
        assert set(environment_of(service)) <= known


def test_the_service_is_told_how_to_reach_its_parts() -> None:
    environment = environment_of(SERVICES["model-registry"])
    assert environment["POSTGREST_URL"] == "http://postgrest:3000"
    assert environment["NATS_URL"].endswith("@nats:4222")
    assert {"POSTGREST_JWT_SECRET", "MODEL_REGISTRY_API_KEY", "MODEL_REGISTRY_CACHE_DIR"} <= set(environment)
    assert {"MODEL_REGISTRY_AGENT_KEY", "MODEL_REGISTRY_METRICS_TOKEN"} <= set(environment)
    assert environment_of(SERVICES["migrate"])["DATABASE_URL"].endswith("@postgres:5432/model_registry")


def test_a_supabase_project_takes_the_place_of_postgrest(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = environment_of(SERVICES["model-registry"])
    chosen = {**SAMPLE, "SUPABASE_URL": "http://host.docker.internal:54321", "SUPABASE_SERVICE_KEY": "a" * 40}
    for values, url, key in ((chosen, chosen["SUPABASE_URL"], "a" * 40), (SAMPLE, None, None)):
        for name, value in environment.items():
            monkeypatch.setenv(name, interpolated(value, values))
        settings = Settings()
        assert (settings.supabase_url, settings.docked) == (url, True)
        assert (settings.supabase_key.get_secret_value() if settings.supabase_key else None) == key
    assert {"SUPABASE_URL", "SUPABASE_SERVICE_KEY", "SUPABASE_SERVICE_ROLE_KEY", "DOCKED_MODE"} <= OPTIONAL


@pytest.mark.parametrize(("said", "closed"), [("", False), ("false", False), ("true", True)])
def test_whether_reads_need_a_key_is_said_in_the_environment_file(*, said: str, closed: bool) -> None:
    environment = environment_of(SERVICES["model-registry"])
    values = {**SAMPLE, "MODEL_REGISTRY_AUTH_READS": said}
    settings = Settings.model_validate({name: interpolated(value, values) for name, value in environment.items()})
    assert settings.auth_reads is closed
    assert "MODEL_REGISTRY_AUTH_READS" in OPTIONAL


@pytest.mark.parametrize("name", AGENTS)
def test_the_agent_beside_the_gateway_has_the_key_that_reads_and_not_the_one_that_may_everything(name: str) -> None:
    service, agent = environment_of(SERVICES["model-registry"]), environment_of(SERVICES[name])
    key = interpolated(agent["MODEL_REGISTRY_API_KEY"], SAMPLE)
    assert key == interpolated(service["MODEL_REGISTRY_AGENT_KEY"], SAMPLE) == SAMPLE["MODEL_REGISTRY_AGENT_KEY"]
    group: Any = typer.main.get_command(commands)
    option = next(p for p in group.commands["tensorzero"].load().commands["sync"].params if p.name == "api_key")
    assert option.envvar == "MODEL_REGISTRY_API_KEY"
    assert SAMPLE["MODEL_REGISTRY_API_KEY"] not in {interpolated(value, SAMPLE) for value in agent.values()}


def test_prometheus_shows_the_token_that_the_service_asks_for() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    (job,) = (job for job in jobs if job["job_name"] == "model-registry")
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    variable = RAW["secrets"][secret]["environment"]
    assert environment_of(SERVICES["model-registry"])[variable].startswith("${" + variable + ":?")


def test_the_example_of_the_gateways_keys_has_those_of_the_starter_catalogue() -> None:
    seeded = set(re.findall(r"'([A-Z_]+_API_KEY)'", (ROOT / "seeds" / "010_providers.sql").read_text()))
    assert seeded
    example = (ROOT / "gateway.env.example").read_text()
    assert seeded == set(re.findall(r"^# ([A-Z_]+_API_KEY)=$", example, re.MULTILINE))
    assert not re.search(r"^[^#\n]", example, re.MULTILINE), "no value stands in it"


def test_gateways_and_those_who_check_for_them_have_the_keys_and_nobody_else_has() -> None:
    have = {name for name, service in SERVICES.items() if "env_file" in service}
    assert have == {"gateway", "litellm", *AGENTS}
    assert all(SERVICES[name]["env_file"] == [{"path": "gateway.env", "required": False}] for name in have)
    assert "/gateway.env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("service", "package", "lock", "tag"),
    [
        ("gateway", "tensorzero", "requirements.lock", "tensorzero/gateway:{}"),
        ("litellm", "litellm", "requirements-litellm.lock", "ghcr.io/berriai/litellm:v{}"),
        ("smg", "smg", "requirements-dev.lock", "lightseekorg/smg:{}"),
    ],
)
def test_the_gateway_that_runs_is_the_one_that_judges_or_that_the_tests_run(
    service: str, package: str, lock: str, tag: str
) -> None:
    version = re.search(rf"^{package}==([\d.]+)", (ROOT / lock).read_text(), re.MULTILINE)
    assert version
    assert SERVICES[service]["image"] == tag.format(version[1])
    assert version[1] not in {"1.82.7", "1.82.8", "1.107.0"}


def test_smg_is_started_as_in_the_embedded_stack() -> None:
    options = " ".join(FOLLOWING)
    (path,) = [option for option in SERVICES["smg"]["command"] if option.startswith("--discovery-file=")]
    given = [option for option in SERVICES["smg"]["command"] if not option.startswith(("--host", "--port"))]
    assert " ".join(given).replace("=", " ") == f"{path.replace('=', ' ')} {options}"


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_runs_a_command_that_exists_with_options_that_it_has(name: str) -> None:
    program, group, command, *options = SERVICES[name]["command"]
    assert program == "model-registry"
    found: Any = typer.main.get_command(commands)
    known = {option for parameter in found.commands[group].load().commands[command].params for option in parameter.opts}
    assert {option.partition("=")[0] for option in options} <= known


@pytest.mark.parametrize("name", AGENTS)
def test_a_gateway_reads_where_its_agent_writes(name: str) -> None:
    agent, gateway = SERVICES[name], SERVICES[name.removesuffix("-sync")]
    (written,) = agent["volumes"]
    volume = written.partition(":")[0]
    assert any(read.startswith(f"{volume}:") and read.endswith(":ro") for read in gateway["volumes"])
    health = [option for option in agent["command"] if option.startswith("--health=")]
    assert all(f"//{name.removesuffix('-sync')}:" in option for option in health)
    assert gateway["depends_on"] == {name: {"condition": "service_healthy"}}


def test_the_image_carries_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"pmoves-model-registry:{version}"}


def test_prometheus_scrapes_the_service() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets["model-registry"] == ["model-registry:8110"]
    assert all(job.get("metrics_path", "/metrics") == "/metrics" for job in jobs)
    hosts = {target.partition(":")[0] for each in targets.values() for target in each} - {"localhost"}
    assert hosts <= set(SERVICES)


def test_the_image_installs_from_the_lock_and_nothing_without_a_hash() -> None:
    installs = re.findall(r"pip install (.+)", DOCKERFILE)
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--requirement requirements.lock" in installs[0]
    assert {"--no-deps", "--no-build-isolation"} <= set(installs[1].split())
    pinned = re.findall(r"^(\S+)==", LOCK, re.MULTILINE)
    assert LOCK.count("--hash=sha256:") >= len(pinned) > 0
    # The lock has what builds the package, and what the package needs at run time.
    assert {"hatchling", "fastapi", "tensorzero"} <= set(pinned)


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2, "what builds stays out of what runs"
    assert all(re.fullmatch(r"python:\d+\.\d+(\.\d+)?-slim-\w+", base) for base in bases)
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert final.index("\nUSER model-registry") < final.index("\nCMD")
    assert "\nEXPOSE 8110\n" in final
    command = re.search(r"^CMD (\[.+\])", final, re.MULTILINE)
    assert command
    assert json.loads(command[1]) == ["model-registry", "serve", "--host", "0.0.0.0"]  # noqa: S104 (inside a container)
    check = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.+\])", final)
    assert check
    assert json.loads(check[1]) == SERVICES["model-registry"]["healthcheck"]["test"][1:]


def test_what_the_image_copies_is_let_through_and_nothing_else() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for arguments in re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.MULTILINE)
        for source in arguments.split()[:-1]
    }
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)
