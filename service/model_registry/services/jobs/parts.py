"""The parts of a registry that work on jobs, put together: made once by `app.py`."""

from __future__ import annotations

from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.jobs.book import JobBook
from model_registry.services.jobs.jobs import Jobs
from model_registry.services.jobs.pauses import Pauses
from model_registry.services.jobs.service_requests import ServiceRequests
from model_registry.services.jobs.training import TrainingFlows
from model_registry.services.model_services import ModelServices
from model_registry.settings import Settings
from model_registry.store.client import Database
from model_registry.store.job_records import JobRecords
from model_registry.store.registry import Registry


def make_jobs(  # noqa: PLR0913, PLR0917 (the parts)
    settings: Settings,
    database: Database,
    registry: Registry,
    services: ModelServices,
    dispatcher: Dispatcher,
    retry_seconds: float,
) -> Jobs:
    """Put the parts together; nothing runs yet. A replica of the role control shows jobs, and takes none over."""
    book = JobBook(JobRecords(database, registry.origin), lambda: registry.last_error is not None)
    requests = ServiceRequests(dispatcher, registry.origin)
    flows = TrainingFlows(book, registry, services.directory, requests, Pauses(retry_seconds))
    return Jobs(book, flows, works=settings.role != "control", tick_seconds=retry_seconds)
