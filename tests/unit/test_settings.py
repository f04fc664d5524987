"""Settings: read once from the environment, refused if invalid, and never showing secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from model_registry.settings import Settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        if field.alias:
            monkeypatch.delenv(field.alias, raising=False)


def test_nothing_is_needed_to_read_them() -> None:
    settings = Settings()

    assert (settings.host, settings.port, settings.db_schema) == ("127.0.0.1", 8110, "model_registry")
    assert (settings.postgrest_url, settings.supabase_url, settings.nats_url, settings.api_key) == (None,) * 4
    assert not settings.auth_reads


def test_every_setting_has_a_variable_and_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.alias or field.validation_alias, name
        assert field.description, name
        assert field.description.endswith("."), name


def test_they_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MODEL_REGISTRY_PORT": "9000",
        "MODEL_REGISTRY_AUTH_READS": "true",
        "MODEL_REGISTRY_CACHE_DIR": "/some/where",
        "MODEL_REGISTRY_POLL_SECONDS": "0.25",
        "MODEL_REGISTRY_UNKNOWN": "ignored",
    }.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert (settings.port, settings.auth_reads, settings.poll_seconds) == (9000, True, 0.25)
    assert settings.cache_dir == Path("/some/where")


def test_an_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGREST_URL", "SUPABASE_URL", "MODEL_REGISTRY_API_KEY", "MODEL_REGISTRY_PORT", "NATS_URL"):
        monkeypatch.setenv(name, "")

    settings = Settings()

    assert (settings.postgrest_url, settings.supabase_url, settings.api_key, settings.port) == (None, None, None, 8110)


@pytest.mark.parametrize(
    ("docked", "host", "listens"),
    [
        ("true", "", "0.0.0.0"),  # noqa: S104 (the value is the point)
        ("true", "10.0.0.7", "10.0.0.7"),
        ("false", "", "127.0.0.1"),
        ("", "", "127.0.0.1"),
    ],
)
def test_in_a_container_it_listens_on_all_addresses(
    monkeypatch: pytest.MonkeyPatch, docked: str, host: str, listens: str
) -> None:
    monkeypatch.setenv("DOCKED_MODE", docked)
    monkeypatch.setenv("MODEL_REGISTRY_HOST", host)

    assert Settings().host == listens


@pytest.mark.parametrize(
    "name", ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_KEY"]
)
def test_the_projects_key_goes_by_all_its_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "")  # as compose passes the name that is not in use
    monkeypatch.setenv(name, "the key")

    key = Settings().supabase_key

    assert key is not None
    assert key.get_secret_value() == "the key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_REGISTRY_PORT", "99999"),
        ("MODEL_REGISTRY_PORT", "http"),
        ("MODEL_REGISTRY_POLL_SECONDS", "0"),
        ("MODEL_REGISTRY_POLL_SECONDS", "-1"),
        ("MODEL_REGISTRY_POLL_SECONDS", "nan"),
        ("MODEL_REGISTRY_POLL_SECONDS", "inf"),
        ("MODEL_REGISTRY_AUTH_READS", "perhaps"),
        ("MODEL_REGISTRY_API_KEY", "short"),
        ("MODEL_REGISTRY_LOG_FORMAT", "xml"),
        ("MODEL_REGISTRY_SHUTDOWN_SECONDS", "0"),
    ],
)
def test_what_means_nothing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=name):
        Settings()


def test_secrets_are_not_shown() -> None:
    secrets = {
        "SUPABASE_KEY": "supabase secret",
        "POSTGREST_KEY": "postgrest secret",
        "POSTGREST_JWT_SECRET": "jwt secret",
        "DATABASE_URL": "postgresql://u:database-secret@h/d",
        "AUTHENTICATOR_PASSWORD": "password secret",
        "NATS_URL": "nats://nats-secret@h",
        "MODEL_REGISTRY_API_KEY": "the api key secret",
    }

    settings = Settings(**secrets)  # type: ignore[arg-type] # as the environment has them: text

    assert "secret" not in repr(settings).replace("postgrest_jwt_secret", "").replace("SecretStr", "")
    assert "secret" not in settings.model_dump_json().replace("postgrest_jwt_secret", "")


def test_they_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc] # that is the point
