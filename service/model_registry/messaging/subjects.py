"""NATS subjects shared by nodes, the registry and its clients. The messages' formats are elsewhere."""

from __future__ import annotations

LOADED = "mesh.gpu.model.loaded.v1"
UNLOADED = "mesh.gpu.model.unloaded.v1"
STATUS = "mesh.gpu.status.v1"
EVENT_SUBJECTS = (LOADED, UNLOADED, STATUS)
"""The subjects that GPU nodes publish to and the registry consumes."""
REJECTED = "mesh.gpu.rejected.v1"
"""The registry's rejections of unusable events."""
UPDATED = "model.registry.updated.v1"
"""Every change of the catalogue and of the fleet."""

SERVICE_REGISTERED = "mesh.service.registered.v1"
SERVICE_UNREGISTERED = "mesh.service.unregistered.v1"
SERVICE_STATUS = "mesh.service.status.v1"
SERVICE_SUBJECTS = (SERVICE_REGISTERED, SERVICE_UNREGISTERED, SERVICE_STATUS)
"""The subjects that model services publish to and the registry consumes."""
SERVICE_REJECTED = "mesh.service.rejected.v1"
"""The registry's rejections of unusable messages of model services."""
