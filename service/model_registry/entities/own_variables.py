"""The environment variables of the registry itself: a row of the catalogue may not have their values sent anywhere.

Who may write sources and providers decides where a key goes, and must not learn the registry's secrets by that. Pure.
A test holds this against the settings: every variable that the service reads is here.
"""

from __future__ import annotations

import re

_OWN = re.compile(
    # The registry, what it runs on, and libpq (PGPASSWORD, PGPASSFILE).
    r"(MODEL_REGISTRY|SUPABASE|POSTGREST|POSTGRES|PGRST|PG|NATS)_.*|PG[A-Z]+|DATABASE_URL|AUTHENTICATOR_PASSWORD"
    # Settings under the names of the document that they come from.
    r"|DOCKED_MODE|SERVICE_DISCOVERY_INTERVAL|HEALTH_CHECK_INTERVAL|SERVICE_TIMEOUT|LOAD_BALANCING_STRATEGY"
    r"|MAX_RETRIES|RETRY_DELAY|(TIMM|ULTRALYTICS|HUGGINGFACE|TRAINING)_SERVICE_URL"
    # Of the machine that it runs on: no server takes them as an API key.
    r"|AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|GOOGLE_APPLICATION_CREDENTIALS",
    re.IGNORECASE | re.DOTALL,
)


def is_own(variable: str) -> bool:
    """Whether a variable, in any case, is the registry's own."""
    return _OWN.fullmatch(variable) is not None
