"""Programs that tests start, or put in the place of a process of ours: each has a `main`."""
