"""How the service and the agents reach NATS. Not what is said there."""
