"""The registry at one revision, as one immutable value, and questions to it. Pure: no I/O, no clock."""
