"""The registry at one revision as one immutable value, and look-ups in it. Pure: no I/O, no clock."""
