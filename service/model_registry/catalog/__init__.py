"""What exists: the registry as one immutable value, and questions to it. Pure: no I/O, no clock."""
