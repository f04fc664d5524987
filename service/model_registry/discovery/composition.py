"""Puts discovery together from the service's settings and parts. Nothing is asked yet."""

from __future__ import annotations

import os
from collections.abc import Callable

from model_registry.discovery.answer_writer import AnswerWriter
from model_registry.discovery.asker import Allowed, Asker
from model_registry.discovery.discovery import Discovery, Observe, Parts
from model_registry.discovery.environment_sources import environment_drafts
from model_registry.discovery.fetcher import Fetchers
from model_registry.discovery.kinds import usual_times
from model_registry.gateways.tensorzero.rendering.provider_tables import model_fault
from model_registry.settings import Settings
from model_registry.store.client import Database, tls
from model_registry.store.registry import Registry
from model_registry.store.source_turns import SourceTurns
from model_registry.work_pool import WorkPool


def make_discovery(
    settings: Settings, database: Database, registry: Registry, new_id: Callable[[], str], observe: Observe
) -> Discovery:
    """Make it. Keys that sources want are in the environment, under names that the sources have."""
    # One thread: reading and planning compute, and what computes keeps the event loop waiting.
    work = WorkPool("sources", threads=1, queue=0, seconds=settings.work_seconds)
    fetchers = Fetchers(tls())
    allowed = Allowed(settings.sources_dir, settings.sources_module, os.environ)
    parts = Parts(
        registry,
        SourceTurns(database, registry.origin),
        Asker(fetchers, allowed, work),
        AnswerWriter(registry, work, new_id, model_fault),
        new_id,
    )
    return Discovery(parts, usual_times(settings.discovery_interval), environment_drafts(settings), observe)
