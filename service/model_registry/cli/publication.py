"""What of the registry gateways get: `tensorzero status`, the notes of `export` and `render`, how an import ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from model_registry.cli.errors import NOT_SERVED
from model_registry.cli.output import print_json, printable
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, json_object
from model_registry.errors import NotServed, Reason, RegistryError

T = TypeVar("T")

STATUS = "/api/tensorzero/status"
_ASKED_AGAIN = 15
"""The registry holds an answer back for 2 s while it validates; a large configuration takes longer."""
_HOW = "See `model-registry tensorzero status`."

Latest = Annotated[
    bool, typer.Option("--latest", help="The newest configuration, whether validation accepts it or not.")
]
Wait = Annotated[
    float, typer.Option(min=0, max=60, help="Seconds to wait for the validation of what was imported; 0: do not wait.")
]


def fetch(
    registry: RegistryHttp, path: str, read: Callable[[bytes], T], *, latest: bool, status: str = STATUS
) -> tuple[T, int]:
    """Get the served configuration, or the newest; say on standard error which revision it is, and what is missing.

    Returns it with the exit code: NOT_SERVED where an earlier one is served, because the newest is refused.
    """
    call = Call("GET", path, read, {"revision": "latest" if latest else None})
    for _ in range(_ASKED_AGAIN):
        content, headers = registry.ask_with_headers(call)
        if "x-registry-pending-revision" not in headers:
            break
    revision = headers.get("x-registry-revision")
    if revision is None:
        return content, 0
    if latest:
        _note(f"Revision {revision}: the newest, whether validation accepts it or not.")
        return content, 0
    if pending := headers.get("x-registry-pending-revision"):
        _note(f"Revision {revision}. Revision {pending} is still being validated.", colour="yellow")
    refused = headers.get("x-registry-refused-revision")
    if refused is None:
        if not pending:
            _note(f"Revision {revision}.")
        return content, NOT_SERVED if pending else 0
    if refused == revision:
        _note(f"Revision {revision}, without {_rows(headers.get('x-registry-excluded-rows', '?'))}:", colour="yellow")
    else:
        _note(f"Revision {revision}, because validation refuses revision {refused}:", colour="red")
    _print_reasons(_status(registry, status))
    return content, 0 if refused == revision else NOT_SERVED


def expect_served(publication: Mapping[str, Any] | None, revision: int | None) -> None:
    """Raise NotServed unless gateways get all that was imported. None: an older registry, which does not say."""
    if publication is None or publication["state"] == "published":
        return
    state, served = publication["state"], publication["served_revision"]
    if state == "pending":
        raise NotServed(f"not served: revision {revision} is still being validated. {_HOW}")
    if state == "excluded":
        rows = [Reason(f"{row['kind']} {row['name']}", joined(row["reasons"])) for row in publication["excluded"]]
        raise NotServed(
            f"not served: the import is written, but validation refuses {_rows(len(rows))} of it. "
            "The rest is served. Mend them and import again.",
            reasons=rows,
        )
    keep = "have none" if served is None else f"keep revision {served}"
    raise NotServed(
        f"not served: the import is written, but validation refuses the configuration; gateways {keep}. {_HOW}",
        reasons=[Reason(reason["where"], reason["message"]) for reason in publication["reasons"]],
    )


@grouped_options
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Show which revision gateways get, and what validation refuses. Exit code 0: the newest, complete; 5: not.

    Example: `model-registry tensorzero status`
    """
    found = registry.ask(Call("GET", STATUS, json_object))
    with registry.expect_shape():
        if as_json:
            print_json(found)
        else:
            print_status(found)
        complete = is_complete(found)
    if not complete:
        raise typer.Exit(NOT_SERVED)


def print_status(found: Mapping[str, Any]) -> None:
    """Print which revision a gateway gets, and what is refused."""
    served, newest = found["served"], found["newest_revision"]
    typer.echo(f"Newest revision: {newest}{', still being validated' if found['pending'] else ''}")
    typer.echo(f"Served: revision {served['revision']}" if served else "Served: nothing")
    _print_reasons(found)


def is_complete(found: Mapping[str, Any]) -> bool:
    """Whether gateways get all that they are to get."""
    return found["served"] is not None and found["refused"] is None and not found["pending"]


def _print_reasons(found: Mapping[str, Any] | None) -> None:
    """Print the rows that are left out, or why the newest configuration is refused."""
    if found is None:
        return
    excluded = found.get("excluded") or []
    if excluded:
        _note(f"Left out, because validation refuses them ({len(excluded)})", colour="yellow")
        _print_lines((f"{row['kind']} {row['name']}", joined(row["reasons"])) for row in excluded)
    elif refused := found.get("refused"):
        _note(f"Refused: revision {refused['revision']}", colour="red")
        _print_lines((reason["where"], reason["message"]) for reason in refused["reasons"])


def _print_lines(lines: Iterable[tuple[str, str]]) -> None:
    for where, message in lines:
        text = f"{where}: {message}" if where else message
        typer.echo("\n".join(f"  {printable(line)}" for line in text.split("\n")), err=True)


def joined(reasons: Iterable[Mapping[str, str]]) -> str:
    """Return the reasons of a row as one line."""
    return "; ".join(str(Reason(reason["where"], reason["message"])) for reason in reasons)


def _status(registry: RegistryHttp, path: str) -> Mapping[str, Any] | None:
    try:
        return registry.ask(Call("GET", path, json_object))
    except RegistryError:  # what was asked for has come; the reasons are an extra
        return None


def _rows(number: object) -> str:
    return "1 row" if str(number) == "1" else f"{number} rows"


def _note(text: str, *, colour: str | None = None) -> None:
    typer.secho(text, err=True, fg=colour)
