"""How a command logs in to NATS: an option for the address, variables for the credentials.

Not options: every user of the machine can read a command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer

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
