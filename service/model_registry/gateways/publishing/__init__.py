"""Publishing: rendering, validating, and serving the newest accepted configuration, once for all gateway kinds."""
