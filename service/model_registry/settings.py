"""All environment variables of the service, read once. Nothing else reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of one instance of the service. Read once at start; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True)

    docked: bool = Field(
        default=False,
        alias="DOCKED_MODE",
        description="The service runs in a container, whose own loopback nobody else reaches: it listens on all "
        "addresses unless MODEL_REGISTRY_HOST is set.",
    )
    host: str = Field(
        default_factory=lambda known: "0.0.0.0" if known.get("docked") else "127.0.0.1",  # noqa: S104 (in a container)
        alias="MODEL_REGISTRY_HOST",
        description="Address the service listens on.",
    )
    port: int = Field(8110, alias="MODEL_REGISTRY_PORT", ge=0, le=65535, description="Port the service listens on.")

    supabase_url: str | None = Field(
        None, alias="SUPABASE_URL", description="URL of a Supabase project, whose PostgREST is used."
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(
            "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_KEY"
        ),
        description="A secret key of the project (`sb_secret_...`), or its service-role key.",
    )
    jwt_issuers: str = Field(
        "",
        alias="MODEL_REGISTRY_JWT_ISSUERS",
        description="Issuers of tokens accepted besides the project's own (`supabase`, `SUPABASE_URL/auth/v1`), "
        "comma-separated. Needed if the auth service's own address differs from SUPABASE_URL.",
    )
    jwt_audiences: str = Field(
        "",
        alias="MODEL_REGISTRY_JWT_AUDIENCES",
        description="Further accepted audiences of tokens besides `authenticated`, comma-separated.",
    )
    postgrest_url: str | None = Field(
        None, alias="POSTGREST_URL", description="URL of a PostgREST without Supabase. Ignored if SUPABASE_URL is set."
    )
    postgrest_key: SecretStr | None = Field(None, alias="POSTGREST_KEY", description="A JWT for the role service_role.")
    postgrest_jwt_secret: SecretStr | None = Field(
        None,
        alias="POSTGREST_JWT_SECRET",
        description="JWT secret of PostgREST: the service signs its own key with it if POSTGREST_KEY is not set.",
    )
    db_schema: str = Field(
        "model_registry", alias="MODEL_REGISTRY_SCHEMA", description="Schema of the registry's tables."
    )
    database_url: SecretStr | None = Field(
        None, alias="DATABASE_URL", description="URL of Postgres. Only needed by `model-registry db`."
    )
    authenticator_password: SecretStr | None = Field(
        None,
        alias="AUTHENTICATOR_PASSWORD",
        description="Password that `db migrate` sets for the role PostgREST logs in as.",
    )
    nats_url: SecretStr | None = Field(
        None,
        alias="NATS_URL",
        description="URL of NATS, where GPU nodes publish. Without it the registry polls and receives no events.",
    )
    nats_user: str | None = Field(None, alias="NATS_USER", description="NATS user, if NATS_URL names none.")
    nats_password: SecretStr | None = Field(None, alias="NATS_PASSWORD", description="Password of NATS_USER.")
    nats_token: SecretStr | None = Field(None, alias="NATS_TOKEN", description="NATS token, instead of a user.")
    nats_nkey: Path | None = Field(
        None, alias="NATS_NKEY", description="File with the seed of an nkey (SU...), instead of a user."
    )
    nats_creds: Path | None = Field(
        None,
        alias="NATS_CREDS",
        description="Credentials file with a JWT and its seed, as written by `nsc`, instead of a user.",
    )
    nats_ca: Path | None = Field(
        None,
        alias="NATS_CA",
        description="PEM file of the CA of NATS's certificate. By default the CAs trusted by the system.",
    )
    nats_cert: Path | None = Field(
        None, alias="NATS_CERT", description="PEM file of the client certificate, if NATS requires one."
    )
    nats_key: Path | None = Field(
        None, alias="NATS_KEY", description="PEM file of the private key of NATS_CERT, without passphrase."
    )
    default_node: str = Field(
        "default", alias="MODEL_REGISTRY_DEFAULT_NODE", description="Node of events that name none."
    )
    heartbeat_seconds: float = Field(
        5.0,
        alias="MODEL_REGISTRY_HEARTBEAT_SECONDS",
        gt=0,
        le=3600,
        description="Interval of the nodes' status messages, seconds.",
    )
    lost_after_heartbeats: int = Field(
        3,
        alias="MODEL_REGISTRY_LOST_AFTER_HEARTBEATS",
        ge=2,
        description="Number of missed heartbeats after which a node and its deployments are marked as lost.",
    )
    most_deployments: int = Field(
        1000,
        alias="MODEL_REGISTRY_NODE_DEPLOYMENTS",
        ge=1,
        le=100_000,
        description="Maximum number of models kept per node, including unloaded ones; further ones are rejected.",
    )
    most_nodes: int = Field(
        10_000,
        alias="MODEL_REGISTRY_MOST_NODES",
        ge=1,
        le=1_000_000,
        description="Maximum number of GPU nodes kept, including lost ones; messages of further nodes are rejected.",
    )
    stream_max_age_hours: float = Field(
        168.0, alias="MODEL_REGISTRY_STREAM_MAX_AGE_HOURS", gt=0, description="Retention of GPU events in NATS, hours."
    )
    stream_max_mb: int = Field(
        256, alias="MODEL_REGISTRY_STREAM_MAX_MB", ge=1, description="Maximum size of the GPU events kept in NATS, MiB."
    )
    stream_replicas: int = Field(
        1, alias="MODEL_REGISTRY_STREAM_REPLICAS", ge=1, le=5, description="NATS servers that keep GPU events."
    )
    events_in_flight: int = Field(
        10_000,
        alias="MODEL_REGISTRY_EVENTS_IN_FLIGHT",
        ge=1,
        description="Maximum number of unacknowledged GPU events that NATS delivers to all replicas together.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("model-registry"),
        alias="MODEL_REGISTRY_CACHE_DIR",
        description="Directory of the newest snapshot, which the service starts from if the database is unavailable.",
    )
    poll_seconds: float = Field(
        0.5,
        alias="MODEL_REGISTRY_POLL_SECONDS",
        gt=0,
        le=3600,
        description="Maximum interval between polls of the database, seconds.",
    )
    keep_changes_days: float | None = Field(
        None,
        alias="MODEL_REGISTRY_KEEP_CHANGES_DAYS",
        gt=0,
        le=36500,
        description="Retention of the change log, and with it of the history, days. By default unlimited.",
    )
    route_hold_seconds: float = Field(
        10.0,
        alias="MODEL_REGISTRY_ROUTE_HOLD_SECONDS",
        ge=0,
        le=3600,
        description="Seconds for which a route lost twice within this time stays removed. 0: it returns at once.",
    )
    api_key: SecretStr | None = Field(
        None, alias="MODEL_REGISTRY_API_KEY", min_length=16, description="Admin key that is valid without the database."
    )
    read_key: SecretStr | None = Field(
        None,
        alias="MODEL_REGISTRY_READ_KEY",
        min_length=16,
        description="Key with the scope read that is valid without the database: for programs that only read.",
    )
    agent_key: SecretStr | None = Field(
        None,
        alias="MODEL_REGISTRY_AGENT_KEY",
        min_length=16,
        description="Key of the agents beside gateways, valid without the database: it reads, and reports which "
        "environment variables a gateway has (names, never values).",
    )
    auth_reads: bool = Field(
        default=False,
        alias="MODEL_REGISTRY_AUTH_READS",
        description="Require a key for reads too, except for `/healthz` and the bare status of `/readyz`.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        alias="MODEL_REGISTRY_METRICS_TOKEN",
        min_length=16,
        description="Token for `/metrics`, which grants nothing else. By default metrics are open if reads are.",
    )
    check_with_gateway: bool = Field(
        default=True,
        alias="MODEL_REGISTRY_CHECK_WITH_GATEWAY",
        description="Validate configurations with the real gateway, if the extra `gateway` is installed.",
    )
    publish: Literal["partial", "strict"] = Field(
        "partial",
        alias="MODEL_REGISTRY_PUBLISH",
        description="What happens when validation refuses rows: `partial` publishes the configuration without them, "
        "`strict` holds all of it back until they are mended.",
    )
    log_format: Literal["json", "console"] = Field(
        "json", alias="MODEL_REGISTRY_LOG_FORMAT", description="Format of log lines: `json` or `console`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        alias="MODEL_REGISTRY_LOG_LEVEL",
        description="Minimum level of log lines: `debug`, `info`, `warning` or `error`.",
    )
    role: Literal["all", "control", "dispatch"] = Field(
        "all",
        alias="MODEL_REGISTRY_ROLE",
        description="`control`: the catalogue and everything but dispatch; `dispatch`: sends requests to models and "
        "model services, and answers reads; `all`: both.",
    )
    services_file: Path | None = Field(
        None,
        alias="MODEL_REGISTRY_SERVICES_FILE",
        description='JSON file with model services to register at start: `{"services": {NAME: {"service_url", '
        '"model_type", "capabilities", ...}}}`.',
    )
    discovery_interval: float = Field(
        30.0,
        alias="SERVICE_DISCOVERY_INTERVAL",
        gt=0,
        le=86400,
        description="Seconds between two looks at a model service's versions, and at sources that set no interval.",
    )
    health_interval: float = Field(
        10.0, alias="HEALTH_CHECK_INTERVAL", gt=0, le=3600, description="Seconds between two probes of an instance."
    )
    service_timeout: float = Field(
        30.0,
        alias="SERVICE_TIMEOUT",
        gt=0,
        le=86400,
        description="Seconds for a whole request to a model service that sets no timeout of its own.",
    )
    balancing: Literal["round_robin", "weighted", "least_loaded", "sticky"] = Field(
        "round_robin",
        alias="LOAD_BALANCING_STRATEGY",
        description="How an instance of a model service is chosen that sets no strategy of its own.",
    )
    most_retries: int = Field(
        3, alias="MAX_RETRIES", ge=0, le=9, description="Further instances tried for a request that may be repeated."
    )
    retry_delay: float = Field(
        1.0,
        alias="RETRY_DELAY",
        ge=0,
        le=60,
        description="Longest pause before another try, seconds. The first one is immediate if another is free.",
    )
    timm_url: str | None = Field(
        None, alias="TIMM_SERVICE_URL", description="Training service of timm models: a source by itself."
    )
    ultralytics_url: str | None = Field(
        None, alias="ULTRALYTICS_SERVICE_URL", description="Training service of ultralytics models: a source by itself."
    )
    huggingface_url: str | None = Field(
        None, alias="HUGGINGFACE_SERVICE_URL", description="Training service of huggingface models: a source by itself."
    )
    training_url: str | None = Field(
        None, alias="TRAINING_SERVICE_URL", description="Training service of all other frameworks: a source by itself."
    )
    sources_dir: Path | None = Field(
        None, alias="MODEL_REGISTRY_SOURCES_DIR", description="Directory below which sources may read files."
    )
    sources_module: str | None = Field(
        None,
        alias="MODEL_REGISTRY_SOURCES_MODULE",
        description="Module (`name`, or `directory:name`) whose `get_all_models()` a source of the kind `module` asks.",
    )
    shutdown_seconds: int = Field(
        10,
        alias="MODEL_REGISTRY_SHUTDOWN_SECONDS",
        ge=1,
        description="Maximum duration of a shutdown, seconds. Running requests may use half of it.",
    )
    work_seconds: float = Field(
        60.0,
        alias="MODEL_REGISTRY_WORK_SECONDS",
        gt=0,
        le=3600,
        description="Deadline of an import, its dry run, an export or a query of the history, seconds.",
    )
    most_connections: int = Field(
        4096,
        alias="MODEL_REGISTRY_CONNECTIONS",
        ge=16,
        description="Maximum number of concurrent connections. Lower if the system allows fewer open files.",
    )
