"""What runs without a request. Each worker is one file with one loop, started and stopped by `app.py`."""
