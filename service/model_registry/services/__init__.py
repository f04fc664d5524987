"""Model services: which instances there are, how they are, and which version answers. `dispatch/` sends requests."""
