"""The registry's entities as pydantic models; small ones stand with the one they belong to. No I/O.

Each entity has a `Row` (stored, read leniently) and, where callers write it, a `Draft` (writable fields, checked
strictly).
"""
