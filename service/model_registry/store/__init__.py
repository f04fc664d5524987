"""Postgres through PostgREST, and nothing else talks to it; and the snapshot that reads are answered from."""
