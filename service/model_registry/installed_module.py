"""Asks an installed module for its models: `get_all_models()`, in a process of its own, so that it may hang or crash.

The module's name comes from the operator alone, never from a request. Its code runs with the rights of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys

from model_registry.entities.json_types import Json
from model_registry.errors import SourceUnreadable

LARGEST = 16 * 2**20
_OURSELVES = __name__.partition(".")[0]
_PROGRAM = """
import contextlib, importlib, io, json, sys
name, directory = sys.argv[1], sys.argv[2]
if directory:
    sys.path.insert(0, directory)
with contextlib.redirect_stdout(io.StringIO()):
    models = importlib.import_module(name).get_all_models()
json.dump(models, sys.stdout, default=vars)
"""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "FRAMEWORK", "TMPDIR")
"""Of our environment. The rest, with the keys of the database, is no business of the module's."""


async def ask_module(place: str) -> Json:
    """Return what the module's `get_all_models()` returns. `place`: its name, or `directory:name`.

    No time limit of its own: cancelled, it kills the process. Errors: SourceUnreadable.
    """
    directory, name = _split(place)
    environment = {key: value for key in _KEPT if (value := os.environ.get(key))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _PROGRAM, name, directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        limit=LARGEST,
    )
    try:
        output, errors = await _read(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise SourceUnreadable(f"the module {name!r} fails: {last or f'exit code {process.returncode}'}")
    try:
        models: Json = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(f"the module {name!r} returns what is not JSON: {error}") from error
    return models


def _split(place: str) -> tuple[str, str]:
    """Return the directory, which may be empty, and the module's name. Errors: SourceUnreadable."""
    directory, _, name = place.rpartition(":")
    if not directory and name.partition(".")[0] == _OURSELVES:
        message = (
            f"the module {name!r} is this program itself. Where another program's code has that name, write its "
            f"directory too: /directory/of/it:{name}"
        )
        raise SourceUnreadable(message)
    return directory, name


async def _read(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Read both outputs to their ends, the first up to the limit."""
    out, err = process.stdout, process.stderr
    if out is None or err is None:
        raise SourceUnreadable("the module's process has no output")
    errors = asyncio.ensure_future(_tail(err))
    try:
        pieces, size = [], 0
        while piece := await out.read(65536):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise SourceUnreadable(f"the module returns more than {LARGEST >> 20} MB")
        failure = await errors
        await process.wait()
        return b"".join(pieces), failure
    finally:
        errors.cancel()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while piece := await stream.read(65536):
        kept = (kept + piece)[-4096:]
    return kept
