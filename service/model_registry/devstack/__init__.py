"""Postgres, PostgREST and NATS started for you, all real, on loopback, with their data in one directory.

One file per part; `embedded.py` owns the three. Nothing here knows of the registry: not its tables, not its settings.
"""
