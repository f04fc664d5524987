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
