"""Rules of the top-level tables other than models and functions: `[gateway]` first, then the small ones.

The gateway refuses unknown keys in some tables and silently ignores them in others: both are faults here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

from model_registry.entities.credential_schemes import CREDENTIAL_SCHEMES
from model_registry.entities.json_types import Toml
from model_registry.entities.provider import http_url_problem
from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.parts import credential
from model_registry.gateways.tensorzero.rules.rate_limits import RATE_LIMITING
from model_registry.gateways.tensorzero.rules.shape import (
    Shape,
    Surroundings,
    TableOf,
    TablesOf,
    anything,
    boolean,
    by_type,
    file_path,
    integer,
    is_number,
    list_of,
    number,
    one_of,
    refused,
    text,
    unlimited_timeout,
)
from model_registry.gateways.tensorzero.rules.variants import EVALUATORS, double_colon

_LAST_PORT = 65_535


def _address(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    host, _colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not _is_host(host) or not (port.isascii() and port.isdecimal() and int(port) <= _LAST_PORT):
        yield refused(path, "must be an IP address and a port, such as 0.0.0.0:3000 or [::]:3000; it takes no name")


def _is_host(text: str) -> bool:
    """Whether a text is an IP address as written before a port: IPv6 in brackets."""
    bracketed = text.startswith("[") and text.endswith("]")
    kind = IPv6Address if bracketed else IPv4Address
    try:
        kind(text[1:-1] if bracketed else text)
    except ValueError:
        return False
    return True


_BATCH_WRITES = TableOf(
    {
        "enabled": boolean,
        "__force_allow_embedded_batch_writes": boolean,
        "flush_interval_ms": integer(1),
        "max_rows": integer(1),
        "max_rows_postgres": integer(1),
        "write_queue_capacity": integer(1),
    },
    frozenset({"enabled"}),
)


def _one_way_to_write(path: Path, observability: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    """Refuse batch writes beside asynchronous ones, which are on by default since 2026.4."""
    batches = observability.get("batch_writes")
    if (
        isinstance(batches, Mapping)
        and batches.get("enabled") is True
        and observability.get("async_writes") is not False
    ):
        message = "excludes async_writes, which are on by default; add async_writes = false, or remove batch_writes"
        yield refused((*path, "batch_writes"), message)


def _url(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    problem = http_url_problem(value) if isinstance(value, str) else "must be a string"
    if problem:
        yield refused(path, problem.replace("api_key_env_var", "api_key_location"))


def _ascending(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Accept the upper bounds of a histogram's buckets."""
    faults = list(list_of(number)(path, value, around))
    yield from faults
    bounds = [float(bound) for bound in value if is_number(bound)] if isinstance(value, list) and not faults else []
    if bounds and bounds[0] < 0:
        yield refused((*path, "0"), "is below 0, and no call takes less time than none; remove it")
    for position, (lower, upper) in enumerate(pairwise(bounds), 1):
        if upper <= lower:
            yield refused((*path, str(position)), f"is {upper:g} after {lower:g}; sort the list, each number once")
            return


GATEWAY = TableOf(
    {
        "bind_address": _address,
        "base_path": text,
        "debug": boolean,
        "unstable_error_json": boolean,
        "unstable_disable_feedback_target_validation": boolean,
        "disable_pseudonymous_usage_analytics": boolean,
        "fetch_and_encode_input_files_before_inference": boolean,
        "global_outbound_http_timeout_ms": unlimited_timeout,
        "global_outbound_http_intra_stream_read_timeout_ms": unlimited_timeout,
        "template_filesystem_access": TableOf({"enabled": boolean, "base_path": file_path}),
        "observability": TableOf(
            {
                "enabled": boolean,
                "backend": one_of("auto", "clickhouse", "postgres"),
                "async_writes": boolean,
                "batch_writes": _BATCH_WRITES,
                "disable_automatic_migrations": boolean,
            },
            rules=(_one_way_to_write,),
            removed={"skip_completed_migrations": "leave it out; it does so anyway"},
        ),
        "export": TableOf(
            {
                "otlp": TableOf(
                    {
                        "traces": TableOf(
                            {
                                "enabled": boolean,
                                "format": one_of("opentelemetry", "openinference"),
                                "extra_headers": TablesOf(text),
                                "include_content": boolean,
                            }
                        )
                    }
                )
            }
        ),
        "auth": TableOf(
            {"enabled": boolean, "cache": TableOf({"enabled": boolean, "ttl_ms": integer()})}, frozenset({"enabled"})
        ),
        "cache": TableOf(
            {
                "enabled": boolean,
                "backend": one_of("auto", "clickhouse", "valkey"),
                "valkey": TableOf({"ttl_s": integer()}),
            }
        ),
        "relay": TableOf(
            {
                "gateway_url": _url,
                "api_key_location": credential(CREDENTIAL_SCHEMES["gateway.relay"]["api_key_location"], pairs=True),
            }
        ),
        "metrics": TableOf({"tensorzero_inference_latency_overhead_seconds_buckets": _ascending}),
    },
    removed={
        "disable_observability": "write observability.enabled = false",
        "enable_template_filesystem_access": "name the directory in template_filesystem_access.base_path",
    },
)


_OPTIMIZERS = ("dicl", "openai_sft", "openai_rft", "fireworks_sft", "gcp_vertex_gemini_sft", "gepa", "together_sft")


def _metric_name(name: str) -> str | None:
    if name in {"comment", "demonstration"} or name.startswith("tensorzero::"):
        return "is a name that the gateway keeps for itself; rename the metric"
    if not re.fullmatch(r"[A-Za-z0-9_.:/-]+", name):
        return "may hold only letters, digits and _ . : / -; rename the metric"
    return None


def _tool_name(name: str) -> str | None:
    return "must not start with 'tensorzero::'; rename the tool" if name.startswith("tensorzero::") else None


def _known_type(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    """Check only the type of a table; the gateway checks its keys."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in _OPTIMIZERS:
        yield refused((*path, "type"), f"must be one of {', '.join(_OPTIMIZERS)}")


def _provider_types() -> TableOf:
    """The types whose keys have defaults: of the others, the cloud's own tools look for the key."""
    shapes: dict[str, Shape] = {}
    for name, kind in GATEWAY_TYPES.items():
        if kind.credential and kind.credential.variable:
            location = kind.credential.key
            shape = credential(kind.places(location), pairs=True)
            keys: dict[str, Shape] = {"defaults": TableOf({location: shape}, frozenset({location}), silent=True)}
            keys |= dict.fromkeys(sorted(kind.section_keys), anything)
            shapes[name] = TableOf(keys, silent=location == "api_key_location")
    return TableOf(shapes)


def _function_name(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    if not isinstance(value, str) or not around.has_function(value):
        yield refused(path, f"the function {value!r} is not in the configuration; add it, or name another one")


def _one_retention(path: Path, postgres: Mapping[str, Any], _: Surroundings) -> Iterator[Reason]:
    if {"inference_data_retention_days", "inference_retention_days"} <= postgres.keys():
        message = "is the old name of inference_data_retention_days, which is here too; remove one"
        yield refused((*path, "inference_retention_days"), message)


_STORES: Mapping[str, TableOf] = {
    "s3_compatible": TableOf(
        {"type": text, "bucket_name": text, "region": text, "endpoint": text, "allow_http": boolean}, silent=True
    ),
    "filesystem": TableOf({"type": text, "path": text}, frozenset({"path"}), silent=True),
    "disabled": TableOf({"type": text}, silent=True),
}

_DAYS = integer(0, 2**32 - 1)

OTHER_SECTIONS: Mapping[str, Shape] = {
    "metrics": TablesOf(
        TableOf(
            {
                "type": one_of("boolean", "float"),
                "optimize": one_of("min", "max"),
                "level": one_of("inference", "episode"),
                "description": text,
            },
            frozenset({"type", "optimize", "level"}),
        ),
        _metric_name,
    ),
    "tools": TablesOf(
        TableOf(
            {"description": text, "parameters": file_path, "name": text, "strict": boolean},
            frozenset({"description", "parameters"}),
        ),
        _tool_name,
    ),
    "evaluations": TablesOf(
        TableOf(
            {
                "type": one_of("inference", "static"),
                "evaluators": EVALUATORS,
                "function_name": _function_name,
                "description": text,
            },
            frozenset({"type", "function_name"}),
            removed={"dataset_name": "leave it out; who runs the evaluation names the data set"},
        ),
        double_colon,
    ),
    "optimizers": TablesOf(_known_type),
    "provider_types": _provider_types(),
    "clickhouse": TableOf(
        {"disable_automatic_migrations": boolean},
        removed=dict.fromkeys(
            ("url", "database"), "leave it out; the gateway's variable TENSORZERO_CLICKHOUSE_URL says where"
        ),
    ),
    "postgres": TableOf(
        {
            "enabled": boolean,
            "connection_pool_size": _DAYS,
            "inference_metadata_retention_days": _DAYS,
            "inference_data_retention_days": _DAYS,
            "inference_retention_days": _DAYS,
        },
        rules=(_one_retention,),
        silent=True,
    ),
    "rate_limiting": RATE_LIMITING,
    "object_storage": by_type(_STORES),
    "autopilot": TableOf({"tool_whitelist": list_of(text)}),
}
