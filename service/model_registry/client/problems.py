"""Problem documents (RFC 9457) turned back into the errors that the registry meant."""

from __future__ import annotations

from collections.abc import Iterator

import httpx

from model_registry.errors import Reason, RegistryError, RegistryUnreachable


def error_of(response: httpx.Response) -> RegistryError:
    """The error that an answer tells of, by its code; RegistryUnreachable when a registry does not answer like that."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    kinds = {kind.code: kind for kind in _kinds(RegistryError)}
    if not isinstance(problem, dict) or problem.get("code") not in kinds:
        where = response.request.url.copy_with(raw_path=b"/")
        return RegistryUnreachable(f"{where} answered {response.status_code}, and not as a registry does")
    given = problem.get("reasons") or []
    reasons = [Reason(str(r.get("where", "")), str(r.get("message", ""))) for r in given if isinstance(r, dict)]
    return kinds[problem["code"]](str(problem.get("detail") or problem.get("title") or ""), reasons=reasons)


def _kinds(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)
