"""Masks secrets in node reports, before these are compared, stored, published or shown.

A node must not be refused for its model server's output, and its messages must give the same rows in any order and
with any repeats: so the same text always gets the same mask. The detector itself is in `secret_text.py`.
"""

from __future__ import annotations

from model_registry.entities.base import LONG_NAME_LENGTH, NAME_LENGTH
from model_registry.entities.deployment import ENDPOINT_LENGTH, ERROR_LENGTH, PROVIDER_TYPE_LENGTH, DeploymentEvent
from model_registry.entities.secret_text import masked_text
from model_registry.entities.secret_values import masked_value
from model_registry.entities.status_message import StatusMessage, UnreadableModel


def mask_event(event: DeploymentEvent) -> int:
    """Mask the secrets of an event in place; return their number."""
    node, one = _mask_column(event.node_id, NAME_LENGTH)
    names = _mask_names(event)
    endpoint, two = (None, 0) if event.endpoint is None else _mask_column(event.endpoint, ENDPOINT_LENGTH)
    error, three = (None, 0) if event.error_message is None else _mask_column(event.error_message, ERROR_LENGTH)
    metadata, four = masked_value(event.metadata) if event.metadata else (event.metadata, 0)
    number = one + names + two + three + four
    if number:
        event.node_id, event.endpoint, event.error_message, event.metadata = node, endpoint, error, metadata
    return number


def mask_status(status: StatusMessage) -> int:
    """Mask the secrets of a status message in place; return their number."""
    status.node_id, number = _mask_column(status.node_id, NAME_LENGTH)
    if status.endpoint is not None:
        status.endpoint, count = _mask_column(status.endpoint, ENDPOINT_LENGTH)
        number += count
    if status.gpus:
        status.gpus, count = masked_value(status.gpus)
        number += count
    for listed in status.listed or ():
        number += mask_event(listed) if isinstance(listed, DeploymentEvent) else _mask_names(listed)
    return number


def _mask_names(report: DeploymentEvent | UnreadableModel) -> int:
    provider, one = _mask_column(report.provider_type, PROVIDER_TYPE_LENGTH)
    model, two = _mask_column(report.announced_model, LONG_NAME_LENGTH)
    if one + two:
        report.provider_type, report.announced_model = provider, model
    return one + two


def _mask_column(text: str, length: int) -> tuple[str, int]:
    """Mask a text, and cut it to the column's length: a mask is longer than a short password."""
    shown, number = masked_text(text)
    return (shown[:length], number) if number else (text, 0)
