"""How an agent logs in to NATS: an option for the address, environment variables for credentials.

Credentials are no options, because everybody on the machine can read a command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer

from model_registry.messaging.login import NatsLogin

HOW = "Credentials: NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY, NATS_CREDS, NATS_CA, NATS_CERT, NATS_KEY."


def nats_login(url: str, variables: Mapping[str, str] = os.environ) -> NatsLogin:
    """Read the login from variables. Errors: BadParameter, also for unusable files, so that mistakes show at once."""
    ways = ("user", "password", "token", "nkey", "creds", "ca", "cert", "key")
    login = NatsLogin(url, **{way: value for way in ways if (value := variables.get(f"NATS_{way.upper()}"))})
    try:
        login.options()
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--nats") from None
    return login
