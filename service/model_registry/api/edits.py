"""One way to edit a row, whatever its kind: found as the caller last saw it, planned, written; and one way to import.

Edits are planned again where the snapshot was behind. What an edit becomes is in `catalog/resources.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from model_registry.api.app_state import AppState
from model_registry.api.cached_responses import expect_match, row_response
from model_registry.api.caller import Caller
from model_registry.api.long_work import while_there
from model_registry.api.publication import note_rows
from model_registry.catalog import resources
from model_registry.catalog.request_models import RequestModel
from model_registry.catalog.resources import Resource
from model_registry.catalog.secret_check import refuse_secrets
from model_registry.entities.change import Operation
from model_registry.errors import Conflict, NotFound, PreconditionFailed, StorageError, UnknownReference
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.snapshot import Snapshot

T = TypeVar("T")

Edit = Callable[[Snapshot], Sequence[Operation]]
"""Plans an edit of a snapshot."""

_STALE = (NotFound, UnknownReference, PreconditionFailed, Conflict)
"""What a look at the database may settle: another replica may have written a moment ago."""


class _Ids:
    """UUIDs of version 7 (RFC 9562, section 5.7), each greater than the one before."""

    def __init__(self) -> None:
        self._newest = 0

    def next(self) -> str:
        """Make one: milliseconds, their fraction in 12 bits, and 62 random bits."""
        self._newest = stamp = max(time.time_ns() * 4096 // 1_000_000, self._newest + 1)
        bits = stamp >> 12 << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
        return str(uuid.UUID(int=bits))


_ids = _Ids()


def new_id() -> str:
    """An id for a new row. Rows of one write have the same time: sorted by id they are in the order of being made."""
    return _ids.next()


async def add_row(resource: Resource, body: RequestModel, state: AppState, caller: Caller) -> str:
    """Add a row, and answer its id."""
    row_id = new_id()
    await write(state, lambda snapshot: [resources.insert(resource, snapshot, body, row_id)], caller)
    return row_id


async def edit_row(
    request: Request,
    resource: Resource,
    reference: str,
    edit: Callable[[Snapshot, Any], Operation],
    state: AppState,
    caller: Caller,
) -> str:
    """Do one operation with the row that the caller names, and answer its id. Errors: NotFound, PreconditionFailed."""

    def plan(snapshot: Snapshot) -> Sequence[Operation]:
        row = resource.find(snapshot, reference)
        expect_match(request, resource.view(snapshot, row))
        return [guarded(request, edit(snapshot, row))]

    (operation,) = await write(state, plan, caller)
    return operation.id


async def put_row(
    request: Request, resource: Resource, reference: str, body: RequestModel, state: AppState, caller: Caller
) -> Response:
    """Replace a row, or add it where there is none. When somebody else adds it at the same moment: Conflict."""
    status = 200
    try:
        await edit_row(
            request, resource, reference, lambda s, row: resources.replace(resource, s, row, body), state, caller
        )
    except NotFound:
        expect_match(request, {})
        await add_row(resource, body, state, caller)
        status = 201
    snapshot = state.registry.snapshot
    return row_response(resource.view(snapshot, resource.find(snapshot, reference)), status)


async def delete_row(request: Request, resource: Resource, reference: str, state: AppState, caller: Caller) -> Response:
    """Delete a row that nobody refers to."""
    await edit_row(request, resource, reference, lambda s, row: resources.delete(resource, s, row), state, caller)
    return Response(status_code=204)


def guarded(request: Request, operation: Operation) -> Operation:
    """The operation on the row as the caller saw it, if they sent If-Match; else on the row as it is."""
    return operation if "if-match" in request.headers else dataclasses.replace(operation, version=None)


async def plan_with_refresh(state: AppState, edit: Callable[[Snapshot], T]) -> T:
    """Plan an edit; when the snapshot speaks against it, look at the database once and plan again."""
    try:
        return edit(state.registry.snapshot)
    except _STALE:
        await state.registry.refresh()
        return edit(state.registry.snapshot)


async def write(state: AppState, edit: Edit, caller: Caller) -> Sequence[Operation]:
    """Plan an edit and do it; answers its operations."""
    operations = await plan_with_refresh(state, edit)
    try:
        await state.registry.write(operations, actor=caller.name)
        note_rows(operation.id for operation in operations)
    except _STALE:
        # Someone was quicker than our snapshot. The plan for what they left says best what is in the way; and the
        # caller, who will now look at the row, finds it as it is.
        with contextlib.suppress(StorageError):
            await state.registry.refresh()
            edit(state.registry.snapshot)
        raise
    return operations


async def run_import(
    request: Request,
    caller: Caller,
    read: Callable[[], T],
    plan: Callable[[T, Snapshot], ImportPlan],
    *,
    dry_run: bool,
    refresh: bool,
) -> tuple[ImportPlan, int]:
    """Read and plan an import, and write it unless it is a dry run; answers the plan and the revision.

    Off the event loop: a large project takes seconds. `refresh`: look at the database before planning.

    Errors: those of reading, planning and writing; SecretInText also for a dry run; ClientDisconnect before the write.
    """
    state: AppState = request.app.state.service
    imports, registry = state.work.imports, state.registry

    async def planned() -> tuple[ImportPlan, int]:
        source = await imports.run(read)
        if refresh:
            await registry.refresh()
        made = await imports.go_on(plan, source, registry.snapshot)
        if dry_run:
            await imports.go_on(refuse_secrets, registry.snapshot, made.operations)
        return made, registry.snapshot.revision

    made, revision = await while_there(request, planned())
    if not dry_run:
        revision = await registry.write(made.operations, actor=caller.name)
    return made, revision
