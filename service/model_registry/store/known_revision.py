"""What a snapshot knows, as the database's functions ask for it; and whether an answer goes on from there.

A revision alone says nothing: after a backup was restored, others write past it. It counts with the id of its entry.
"""

from __future__ import annotations

from typing import Any

from model_registry.snapshot.snapshot import Snapshot

NOTHING_NEWER = {"known_revision": 2**62}
"""A revision that no registry reaches: who knows it is told of no changes."""


def known_revision(snapshot: Snapshot) -> dict[str, Any]:
    """The arguments that say where a snapshot stands. No entry has the id 0: that revision counts for nothing."""
    return {"known_revision": snapshot.revision, "known_entry": snapshot.entry_id}


def has_identity(snapshot: Snapshot) -> bool:
    """Whether it can be brought forward: not what was never loaded, nor what an older version left on disk."""
    return bool(snapshot.registry_id) and (snapshot.revision == 0 or snapshot.entry_id != 0)


def goes_on(answer: dict[str, Any], known: Snapshot, current: Snapshot) -> bool:
    """Whether the answer to a question asked with `known` fits `current`, which may be ahead by other answers.

    It does not when another database stands behind the address, this one went back to a backup, or its log was trimmed
    past us. Errors: KeyError, TypeError when it is no such answer.
    """
    least = min(answer["revision"], current.revision)
    if answer["registry_id"] != current.registry_id or known.revision > least:
        return False
    if known.revision < current.revision == least:  # it must lead through where we are, not past it
        entries = (change["entry_id"] for change in answer["changes"] if change["revision"] == current.revision)
        return next(entries, None) == current.entry_id
    return True
