"""The registry's entities, one file each, as pydantic models. No I/O.

Each entity has a `Row` (stored, read leniently) and, where callers write it, a `Draft` (writable fields, checked
strictly).
"""
