"""How an agent's command is let in to NATS: an option for the address, variables for what opens it.

Not options: what stands on a command line, everybody on the machine can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import typer

from model_registry.messaging.login import NatsLogin

HOW = "NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY, NATS_CREDS, NATS_CA, NATS_CERT, NATS_KEY say how to log in."


def nats_login(url: str, variables: Mapping[str, str] = os.environ) -> NatsLogin:
    """What the variables say. Errors: BadParameter, also for files that cannot be used: a mistake is seen at once."""
    ways = ("user", "password", "token", "nkey", "creds", "ca", "cert", "key")
    login = NatsLogin(url, **{way: value for way in ways if (value := variables.get(f"NATS_{way.upper()}"))})
    try:
        login.options()
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--nats") from None
    return login
