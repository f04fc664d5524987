"""The instances that a training may go to, from the snapshot."""

from __future__ import annotations

from dataclasses import replace

from model_registry.entities.model_service import TrainingFlow
from model_registry.entities.service_capabilities import TRAINING
from model_registry.entities.service_job import ServiceJob
from model_registry.services.directory import InstanceDirectory
from model_registry.services.dispatch.targets import Target
from model_registry.services.instance_targets import key_of, target_of
from model_registry.snapshot.snapshot import Snapshot


def training_targets(
    snapshot: Snapshot, directory: InstanceDirectory, model_type: str
) -> tuple[TrainingFlow, list[Target]]:
    """The instances that a training may go to, and how they train: directly, where any of them does.

    Errors: NotFound.
    """
    service, versions = directory.find(snapshot, model_type)
    flows = {key_of(i): i.training_flow for i in snapshot.instances.where("model_service", service.id)}
    targets = [target for target in versions.targets() if TRAINING in target.capabilities]
    direct = [target for target in targets if flows.get(target.key) != "prepared"]
    if direct or not targets:
        return "direct", direct
    return "prepared", targets


def target_of_job(snapshot: Snapshot, job: ServiceJob) -> Target | None:
    """The instance that has a job, also while it is draining; None when it is not registered any more."""
    for instance in snapshot.instances.where("service_id", job.service_id):
        service = snapshot.model_services.get(instance.model_service_id)
        if service is not None:
            return replace(target_of(service, instance), accepts=True)
    return None
