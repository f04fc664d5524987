"""What `core.py` and `catalogue_core.py` say, done with blocking I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import httpx

from model_registry.client.core import Flow, Pause, Send, Step
from model_registry.client.retries import Reply

if TYPE_CHECKING:
    from model_registry.messaging.change_notifier import ChangeNotifier

T = TypeVar("T")


def run_flow(flow: Flow[T], do: Callable[[Step], Reply]) -> T:
    """Do the steps of a flow, and return its result."""
    try:
        step = next(flow)
        while True:
            step = flow.send(do(step))
    except StopIteration as ended:
        result: T = ended.value
        return result


def perform(
    http: httpx.Client, step: Step, pause: Callable[[float], object], news: ChangeNotifier | None = None
) -> Reply:
    """One step, blocking."""
    if isinstance(step, Pause):
        news.wait(step.seconds) if step.news and news is not None else pause(step.seconds)
    if not isinstance(step, Send):
        return None
    try:
        return http.send(step.request)
    except httpx.HTTPError as error:
        return error
