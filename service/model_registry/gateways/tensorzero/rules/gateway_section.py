"""Rules of `[gateway]`: its keys and numbers. Other sections are in `sections.py`."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path
from model_registry.gateways.tensorzero.rules.context import Surroundings
from model_registry.gateways.tensorzero.rules.shape import (
    TableOf,
    TablesOf,
    boolean,
    file_path,
    integer,
    list_of,
    number,
    one_of,
    refused,
    text,
    unlimited_timeout,
)

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
        "flush_interval_ms": integer(),
        "max_rows": integer(),
        "max_rows_postgres": integer(),
        "write_queue_capacity": integer(),
    }
)

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
            removed={"skip_completed_migrations": "leave it out; it does so anyway"},
        ),
        "export": TableOf(
            {
                "otlp": TableOf(
                    {
                        "traces": TableOf(
                            {
                                "enabled": boolean,
                                "format": text,
                                "extra_headers": TablesOf(text),
                                "include_content": boolean,
                            }
                        )
                    }
                )
            }
        ),
        "auth": TableOf({"enabled": boolean, "cache": TableOf({"enabled": boolean, "ttl_ms": integer()})}),
        "cache": TableOf({"enabled": boolean, "backend": text, "valkey": TableOf({"ttl_s": integer()})}),
        "relay": TableOf({"gateway_url": text, "api_key_location": text}),
        "metrics": TableOf({"tensorzero_inference_latency_overhead_seconds_buckets": list_of(number)}),
    },
    removed={
        "disable_observability": "write observability.enabled = false",
        "enable_template_filesystem_access": "name the directory in template_filesystem_access.base_path",
    },
)
