"""Secrets in what nodes say: masked before anything of it is compared, stored, published or shown.

A node must not be refused for what its model server printed, and any order and any repeats of its messages must end in
the same rows: the same text always gets the same mask.
"""

from __future__ import annotations

from model_registry.entities.base import LONG_NAME_LENGTH, NAME_LENGTH
from model_registry.entities.deployment import ENDPOINT_LENGTH, ERROR_LENGTH, PROVIDER_TYPE_LENGTH, DeploymentEvent
from model_registry.entities.secret_text import masked_text
from model_registry.entities.secret_values import masked_value
from model_registry.entities.status_message import StatusMessage, UnreadableModel


def mask_event(event: DeploymentEvent) -> int:
    """Mask the secrets of an event, in place; answers how many there were."""
    node, one = _cut(event.node_id, NAME_LENGTH)
    names = _mask_names(event)
    endpoint, two = (None, 0) if event.endpoint is None else _cut(event.endpoint, ENDPOINT_LENGTH)
    error, three = (None, 0) if event.error_message is None else _cut(event.error_message, ERROR_LENGTH)
    metadata, four = masked_value(event.metadata) if event.metadata else (event.metadata, 0)
    number = one + names + two + three + four
    if number:
        event.node_id, event.endpoint, event.error_message, event.metadata = node, endpoint, error, metadata
    return number


def mask_status(status: StatusMessage) -> int:
    """Mask the secrets of a status message, in place; answers how many there were."""
    status.node_id, number = _cut(status.node_id, NAME_LENGTH)
    if status.endpoint is not None:
        status.endpoint, count = _cut(status.endpoint, ENDPOINT_LENGTH)
        number += count
    if status.gpus:
        status.gpus, count = masked_value(status.gpus)
        number += count
    for listed in status.listed or ():
        number += mask_event(listed) if isinstance(listed, DeploymentEvent) else _mask_names(listed)
    return number


def _mask_names(said: DeploymentEvent | UnreadableModel) -> int:
    provider, one = _cut(said.provider_type, PROVIDER_TYPE_LENGTH)
    model, two = _cut(said.announced_model, LONG_NAME_LENGTH)
    if one + two:
        said.provider_type, said.announced_model = provider, model
    return one + two


def _cut(text: str, length: int) -> tuple[str, int]:
    """Masked, and as short as the column: a mask is longer than a short password."""
    shown, number = masked_text(text)
    return (shown[:length], number) if number else (text, 0)
