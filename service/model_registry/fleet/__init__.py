"""GPU nodes and their deployments: events, recording, liveness, flap damping. Storage itself is in `store/`."""
