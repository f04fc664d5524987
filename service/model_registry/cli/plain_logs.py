"""How log lines of the agents look: plain, for whoever started them. They run where the server's packages are not."""

from __future__ import annotations

import logging
import sys

from model_registry.entities.secret_text import mask_secrets


class MaskedFormatter(logging.Formatter):
    """The finished line without secrets, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return mask_secrets(super().format(record))


def configure_plain() -> None:
    """Send everything from `info` on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskedFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
