"""The connection of the service, the agents and the client to NATS. Messages are parsed elsewhere."""
