"""Read the settings for a command, with errors that people can act on."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from model_registry.errors import Reason, StorageMisconfigured
from model_registry.settings import Settings


def read_settings(overrides: dict[str, Any] | None = None) -> Settings:
    """Read the environment, overridden by these variables. Errors: StorageMisconfigured, naming the variables."""
    try:
        return Settings(**(overrides or {}))
    except ValidationError as error:
        reasons = [Reason(str(found["loc"][0]) if found["loc"] else "", _words(found)) for found in error.errors()]
        message = "Invalid settings: " + "; ".join(map(str, reasons))
        raise StorageMisconfigured(message, reasons=reasons) from error


def _words(found: ErrorDetails) -> str:
    if found["type"] == "too_short":  # pydantic words it as a number of items
        return f"must have at least {found['ctx']['min_length']} characters"
    return found["msg"]


def database_url(settings: Settings) -> str:
    """The URL of Postgres. Errors: StorageMisconfigured."""
    if settings.database_url is None:
        message = "DATABASE_URL is not set. After `model-registry up`: . <data-dir>/stack.env"
        raise StorageMisconfigured(message)
    return settings.database_url.get_secret_value()
