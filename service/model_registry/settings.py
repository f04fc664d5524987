"""Every environment variable the service reads, once. Nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How one instance of the service is set up. Read once at start; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    host: str = Field("127.0.0.1", alias="MODEL_REGISTRY_HOST", description="Address the service listens on.")
    port: int = Field(8110, alias="MODEL_REGISTRY_PORT", ge=0, le=65535, description="Port the service listens on.")

    supabase_url: str | None = Field(
        None, alias="SUPABASE_URL", description="A Supabase project; its PostgREST is used."
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_KEY"),
        description="The project's service-role key.",
    )
    jwt_issuers: str = Field(
        "",
        alias="MODEL_REGISTRY_JWT_ISSUERS",
        description="Whose tokens hold beside the project's own (`supabase`, `SUPABASE_URL/auth/v1`); commas between. "
        "Needed where SUPABASE_URL is not the address that the project's auth service knows itself by.",
    )
    jwt_audiences: str = Field(
        "",
        alias="MODEL_REGISTRY_JWT_AUDIENCES",
        description="For whom tokens may be made beside `authenticated`; commas between.",
    )
    postgrest_url: str | None = Field(
        None, alias="POSTGREST_URL", description="A PostgREST without Supabase. Ignored when SUPABASE_URL is set."
    )
    postgrest_key: SecretStr | None = Field(None, alias="POSTGREST_KEY", description="A JWT for the role service_role.")
    postgrest_jwt_secret: SecretStr | None = Field(
        None,
        alias="POSTGREST_JWT_SECRET",
        description="PostgREST's JWT secret: the service signs its own key with it when POSTGREST_KEY is not set.",
    )
    db_schema: str = Field(
        "model_registry", alias="MODEL_REGISTRY_SCHEMA", description="The schema that holds the registry's tables."
    )
    database_url: SecretStr | None = Field(
        None, alias="DATABASE_URL", description="Postgres itself. Only `model-registry db` needs it."
    )
    authenticator_password: SecretStr | None = Field(
        None,
        alias="AUTHENTICATOR_PASSWORD",
        description="The password `db migrate` gives the role PostgREST logs in as.",
    )
    nats_url: SecretStr | None = Field(
        None, alias="NATS_URL", description="Where GPU nodes speak. Without it the registry polls and hears no events."
    )
    nats_user: str | None = Field(None, alias="NATS_USER", description="A user of NATS, where NATS_URL names none.")
    nats_password: SecretStr | None = Field(None, alias="NATS_PASSWORD", description="The password of NATS_USER.")
    nats_token: SecretStr | None = Field(None, alias="NATS_TOKEN", description="A token, instead of a user.")
    nats_nkey: Path | None = Field(None, alias="NATS_NKEY", description="A file with an nkey's seed (SU...), instead.")
    nats_creds: Path | None = Field(
        None, alias="NATS_CREDS", description="A file with a JWT and its seed, as `nsc` writes it, instead."
    )
    nats_ca: Path | None = Field(
        None,
        alias="NATS_CA",
        description="PEM file: who has signed NATS's certificate. Not set: whom the system trusts.",
    )
    nats_cert: Path | None = Field(
        None, alias="NATS_CERT", description="PEM file: our certificate, for a NATS that asks for one."
    )
    nats_key: Path | None = Field(
        None, alias="NATS_KEY", description="PEM file: the key of NATS_CERT, without passphrase."
    )
    default_node: str = Field(
        "default", alias="MODEL_REGISTRY_DEFAULT_NODE", description="The node of events that name none."
    )
    heartbeat_seconds: float = Field(
        5.0, alias="MODEL_REGISTRY_HEARTBEAT_SECONDS", gt=0, le=3600, description="How often nodes say how they are."
    )
    lost_after_heartbeats: int = Field(
        3,
        alias="MODEL_REGISTRY_LOST_AFTER_HEARTBEATS",
        ge=2,
        description="A node that misses so many heartbeats is lost, and its deployments with it.",
    )
    most_deployments: int = Field(
        1000,
        alias="MODEL_REGISTRY_NODE_DEPLOYMENTS",
        ge=1,
        le=100_000,
        description="The most models that are kept of one node, unloaded ones among them; more are rejected.",
    )
    most_nodes: int = Field(
        10_000,
        alias="MODEL_REGISTRY_MOST_NODES",
        ge=1,
        le=1_000_000,
        description="The most GPU nodes that are kept, lost ones among them; what further ones say is rejected.",
    )
    stream_max_age_hours: float = Field(
        168.0, alias="MODEL_REGISTRY_STREAM_MAX_AGE_HOURS", gt=0, description="For how long NATS keeps GPU events."
    )
    stream_max_mb: int = Field(
        256, alias="MODEL_REGISTRY_STREAM_MAX_MB", ge=1, description="How many MiB of GPU events NATS keeps."
    )
    stream_replicas: int = Field(
        1, alias="MODEL_REGISTRY_STREAM_REPLICAS", ge=1, le=5, description="On how many servers NATS keeps GPU events."
    )
    events_in_flight: int = Field(
        10_000,
        alias="MODEL_REGISTRY_EVENTS_IN_FLIGHT",
        ge=1,
        description="The most GPU events that NATS hands to all replicas before one of them is acknowledged.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("model-registry"),
        alias="MODEL_REGISTRY_CACHE_DIR",
        description="Where the newest snapshot is kept, to start from when the database is away.",
    )
    poll_seconds: float = Field(
        0.5,
        alias="MODEL_REGISTRY_POLL_SECONDS",
        gt=0,
        le=3600,
        description="Longest time between two looks at the database.",
    )
    keep_changes_days: float | None = Field(
        None,
        alias="MODEL_REGISTRY_KEEP_CHANGES_DAYS",
        gt=0,
        le=36500,
        description="For how long the change log, and with it the history, is kept. Not set: for ever.",
    )
    route_hold_seconds: float = Field(
        10.0,
        alias="MODEL_REGISTRY_ROUTE_HOLD_SECONDS",
        ge=0,
        le=3600,
        description="How long a route that went away twice in this time stays away. 0: it comes back at once.",
    )
    api_key: SecretStr | None = Field(
        None, alias="MODEL_REGISTRY_API_KEY", min_length=16, description="An admin key that holds without the database."
    )
    read_key: SecretStr | None = Field(
        None,
        alias="MODEL_REGISTRY_READ_KEY",
        min_length=16,
        description="A key with the scope read that holds without the database: for the agent beside a gateway.",
    )
    auth_reads: bool = Field(
        default=False,
        alias="MODEL_REGISTRY_AUTH_READS",
        description="Reads need a key too; all but `/healthz` and the bare status of `/readyz`.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        alias="MODEL_REGISTRY_METRICS_TOKEN",
        min_length=16,
        description="What `/metrics` needs, and opens nothing else. Not set: metrics are open while reads are.",
    )
    check_with_gateway: bool = Field(
        default=True,
        alias="MODEL_REGISTRY_CHECK_WITH_GATEWAY",
        description="Ask the real gateway before a configuration goes out, where the extra `gateway` is installed.",
    )
    log_format: Literal["json", "console"] = Field("json", alias="MODEL_REGISTRY_LOG_FORMAT", description="Log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="MODEL_REGISTRY_LOG_LEVEL", description="The least that is logged."
    )
    shutdown_seconds: int = Field(
        10,
        alias="MODEL_REGISTRY_SHUTDOWN_SECONDS",
        ge=1,
        description="The service ends within so many seconds of being told to; running requests get half of them.",
    )
    work_seconds: float = Field(
        60.0,
        alias="MODEL_REGISTRY_WORK_SECONDS",
        gt=0,
        le=3600,
        description="Longest time that an import, its dry run, an export or a look into the history may take.",
    )
    most_connections: int = Field(
        4096,
        alias="MODEL_REGISTRY_CONNECTIONS",
        ge=16,
        description="Most connections at once. Fewer where the system allows fewer open files.",
    )
