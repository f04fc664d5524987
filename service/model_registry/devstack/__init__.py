"""Starts real Postgres, PostgREST and NATS on loopback, with their data in one directory.

One file per server; `embedded.py` owns the three. The registry's tables and settings do not belong here.
"""
