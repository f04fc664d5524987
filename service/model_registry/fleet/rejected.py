"""Rejections of messages: published with the reason, logged, and as the database keeps them. Secrets are masked."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import structlog

from model_registry.entities.node import RejectedEvent
from model_registry.entities.secret_text import mask_secrets, masked_beginning, masked_text
from model_registry.fleet.event_sources import Delivery
from model_registry.messaging.connection import NatsConnection

log = structlog.get_logger(__name__)

SHOWN_BYTES = 16 * 1024
"""Of a rejected payload, published with the reason."""
KEPT_BYTES = 2 * 1024
"""Of a rejected payload, kept in the database."""
_LONGEST_SECRET = 4 * 1024
"""Bytes searched for secrets beyond the cut: no detector recognises a truncated secret."""


async def publish_rejections(link: NatsConnection, rejected: Sequence[Delivery], subject: str) -> set[int]:
    """Publish and log the reasons. Return the identities of the messages whose rejection could not be published."""
    for number, one in enumerate(rejected):
        message = one.message
        rejection = {
            "type": subject,
            "subject": message.subject,
            "reason": mask_secrets("; ".join(one.reasons)),
            "payload": _beginning(message.data, SHOWN_BYTES)[0],
            "ts": int(one.received_at.timestamp()),
        }
        published = await link.publish(subject, orjson.dumps(rejection))
        if not published and not link.connected:
            return {id(unsent) for unsent in rejected[number:]}
    if rejected:
        first = rejected[0]
        reason = mask_secrets("; ".join(first.reasons))
        shown = {"subject": first.message.subject, "reason": reason}
        log.warning("events rejected", number=len(rejected), first=shown)
    return set()


def rejected_event(one: Delivery) -> tuple[RejectedEvent, int]:
    """Return the rejection as the database stores it, and the number of secrets masked in it."""
    message = one.message
    payload, masked = _beginning(message.data, KEPT_BYTES)
    reason, more = masked_text("; ".join(one.reasons))
    kept = (text.replace("\0", "\ufffd") for text in (reason, payload))
    return RejectedEvent(one.received_at, message.subject, *kept), masked + more


def _beginning(payload: bytes, size: int) -> tuple[str, int]:
    """Return the shown beginning of a payload, and the number of secrets masked in it."""
    text = payload[: size + _LONGEST_SECRET].decode("utf-8", "replace")
    return masked_beginning(text, len(payload[:size].decode("utf-8", "replace")))
