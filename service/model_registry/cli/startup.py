"""How a command of the service starts: settings read from the environment, log lines in one format.

Log lines, the service's and the libraries', are one JSON object per line, or coloured text for people.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import Reason, StorageMisconfigured
from model_registry.settings import Settings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def read_settings(overrides: dict[str, Any] | None = None) -> Settings:
    """Read the environment, overridden by these variables. Errors: StorageMisconfigured, naming the variables."""
    try:
        return Settings(**(overrides or {}))
    except ValidationError as error:
        reasons = [
            Reason(str(found["loc"][0]) if found["loc"] else "", _words(found))
            for found in error.errors()
            if found["type"] != "default_factory_not_called"  # it follows from another setting, which is refused
        ]
        message = "Invalid settings: " + "; ".join(map(str, reasons))
        raise StorageMisconfigured(message, reasons=reasons) from error


def _words(found: ErrorDetails) -> str:
    if found["type"] == "too_short":  # pydantic words it as a number of items
        return f"must have at least {found['ctx']['min_length']} characters"
    return "must be true or false" if found["type"] == "bool_parsing" else found["msg"]


def database_url(settings: Settings) -> str:
    """The URL of Postgres. Errors: StorageMisconfigured."""
    if settings.database_url is None:
        message = "DATABASE_URL is not set. After `model-registry up`: . <data-dir>/stack.env"
        raise StorageMisconfigured(message)
    return settings.database_url.get_secret_value()


def configure(log_format: str, level: str) -> None:
    """Log everything to standard error in one format."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        # Not its usual traceback, which shows the values of local variables: keys and passwords are among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    exceptions: list[Any] = [structlog.processors.format_exc_info] if log_format == "json" else []
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, renderer, _masked],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "uvicorn.access", "hpack"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # nats-py logs its own errors here; our callbacks log the same, without the server's address.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


def _masked(_logger: Any, _name: str, line: Any) -> str:  # noqa: ANN401 (structlog's types know only dictionaries)
    """Mask secrets in the finished line, whatever its source, quoted exceptions of libraries included."""
    return mask_secrets(str(line))
