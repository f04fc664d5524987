"""What is said where: the subjects that nodes, the registry and its clients agree on. Not what is said."""

from __future__ import annotations

LOADED = "mesh.gpu.model.loaded.v1"
UNLOADED = "mesh.gpu.model.unloaded.v1"
STATUS = "mesh.gpu.status.v1"
HEARD = (LOADED, UNLOADED, STATUS)
"""What the registry listens to. The GPU nodes speak there."""
REJECTED = "mesh.gpu.rejected.v1"
"""What it answers when it cannot use what a node said."""
UPDATED = "model.registry.updated.v1"
"""Every change of the catalogue and of the fleet."""
