"""What runs on a GPU node: watches its model servers, and tells the registry over NATS what is loaded there."""
