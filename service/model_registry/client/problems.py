"""Problem documents (RFC 9457) turned back into the errors that the registry raised."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from model_registry.errors import SHOWN_DATA, NotAllowed, NotAuthenticated, Reason, RegistryError, RegistryUnreachable

_BY_STATUS: dict[int, type[RegistryError]] = {401: NotAuthenticated, 403: NotAllowed}
"""Errors of a proxy before the registry that wants a key too."""


def error_of(response: httpx.Response) -> RegistryError:
    """Return the error that an answer names by its code; RegistryUnreachable when a registry does not answer so."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        problem = None
    kinds = {kind.code: kind for kind in _kinds(RegistryError)}
    code = problem.get("code") if isinstance(problem, dict) else None
    if not isinstance(code, str) or code not in kinds:
        where = response.request.url.copy_with(raw_path=b"/")
        kind = _BY_STATUS.get(response.status_code, RegistryUnreachable)
        return kind(f"{where} answered {response.status_code}, and not as a registry does")
    given = problem["reasons"] if isinstance(problem.get("reasons"), list) else ()
    reasons = [Reason(str(r.get("where", "")), str(r.get("message", ""))) for r in given if isinstance(r, dict)]
    shown = {key: problem[key] for key in SHOWN_DATA if problem.get(key) is not None}
    return kinds[code](str(problem.get("detail") or problem.get("title") or ""), reasons=reasons, **shown)


def _kinds(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)
