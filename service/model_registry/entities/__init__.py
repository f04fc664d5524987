"""The nouns of the registry, one file each, as pydantic shapes. No I/O.

Each noun has a `Row` (what the database holds, read leniently) and, where people write it, a `Draft` (what may be
written, checked strictly).
"""
