"""What the commands of both agents share: plain log lines, and how they log in to NATS. Needs no server packages.

An option has NATS's address, variables have the credentials: every user of the machine can read a command line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

import typer

from model_registry.entities.secret_text import mask_secrets
from model_registry.messaging.login import NatsLogin

HOW = "Credentials: NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY, NATS_CREDS, NATS_CA, NATS_CERT, NATS_KEY."


def nats_login(url: str, variables: Mapping[str, str] = os.environ) -> NatsLogin:
    """Read the variables. Errors: BadParameter, also for files that cannot be used: a mistake shows at once."""
    ways = ("user", "password", "token", "nkey", "creds", "ca", "cert", "key")
    login = NatsLogin(url, **{way: value for way in ways if (value := variables.get(f"NATS_{way.upper()}"))})
    try:
        login.options()
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--nats") from None
    return login


class MaskedFormatter(logging.Formatter):
    """Mask secrets in the finished line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return mask_secrets(super().format(record))


def configure_plain() -> None:
    """Send the agents' own log lines from `info` on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskedFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for library in ("httpx", "httpcore", "nats"):  # the agents report their failures themselves, once each
        logging.getLogger(library).setLevel(logging.CRITICAL)
