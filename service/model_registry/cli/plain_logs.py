"""Format of the agents' log lines: plain text. Agents run without the server's packages."""

from __future__ import annotations

import logging
import sys

from model_registry.entities.secret_text import mask_secrets


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
