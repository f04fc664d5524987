"""What runs without a request. `supervisor.py` starts, restarts and stops it."""
