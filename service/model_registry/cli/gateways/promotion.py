"""`model-registry gateways promote|approve|withdraw|history`: which revision a gateway has, and who decided."""

from __future__ import annotations

from typing import Annotated

import typer

from model_registry.cli.gateways.rows import AsJson, Name, in_words, path_of
from model_registry.cli.history import print_rows
from model_registry.cli.output import print_json, printable
from model_registry.cli.publication import joined
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, Json, json_object

_NEWEST = "newest"
_LATEST = "latest"

Reason = Annotated[str | None, typer.Option(help="Why: kept in the history.")]


@grouped_options
def promote(
    name: Name,
    revision: Annotated[
        str | None,
        typer.Argument(
            help="A revision; `latest`: the newest now; `newest`: follow it from now on.", metavar="REVISION"
        ),
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="The gateway whose revision it is to have.")] = None,
    approval: Annotated[
        int | None, typer.Option(min=0, help="Instead: how many others must approve its promotions from now on.")
    ] = None,
    reason: Reason = None,
    leave_out_refused: Annotated[
        bool, typer.Option("--leave-out-refused", help="Go there without the rows that validation refuses.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    as_json: AsJson = False,
    *,
    registry: RegistryHttp,
) -> None:
    """Move a gateway to a revision, or to that of another gateway, if its own loader accepts that.

    Where others must approve, it is pending until they do.

    Example: `model-registry gateways promote production --from staging --reason "tested since Monday" --dry-run`
    """
    body = {"reason": reason, "leave_out_refused": leave_out_refused, **_target(revision, from_, approval)}
    found = registry.ask(Call("POST", path_of(name, "/promote"), json_object, {"dry_run": dry_run}, body))
    with registry.expect_shape():
        if as_json:
            print_json(found)
        else:
            _print(found)
    if not found.get("accepted", True) and dry_run:
        raise typer.Exit(1)


@grouped_options
def approve(
    name: Name,
    revision: Annotated[
        int | None, typer.Argument(min=0, help="The revision that is pending.", metavar="REVISION")
    ] = None,
    approval: Annotated[
        int | None, typer.Option(min=0, help="Instead: the number of approvals that is pending.")
    ] = None,
    *,
    registry: RegistryHttp,
) -> None:
    """Approve a gateway's pending promotion. Who asked for it cannot.

    Example: `model-registry gateways approve production 1204`
    """
    if (revision is None) == (approval is None):
        raise typer.BadParameter("give REVISION or --approval, as `gateways status` shows what is pending")
    body = {"revision": revision} if revision is not None else {"approval": approval}
    found = registry.ask(Call("POST", path_of(name, "/promotions/approve"), json_object, body=body))
    with registry.expect_shape():
        _print(found)


@grouped_options
def withdraw(name: Name, *, registry: RegistryHttp) -> None:
    """End a gateway's pending promotion; the gateway stays where it is.

    Example: `model-registry gateways withdraw production`
    """
    registry.ask(Call("POST", path_of(name, "/promotions/withdraw"), json_object))
    typer.echo(f"{printable(name)}: withdrawn")


@grouped_options
def history(name: Name, as_json: AsJson = False, *, registry: RegistryHttp) -> None:
    """List who moved a gateway from which revision to which, when and why, newest first.

    Example: `model-registry gateways history production`
    """
    found = registry.ask(Call("GET", path_of(name, "/history"), json_object))
    with registry.expect_shape():
        if as_json:
            print_json(found["items"])
            return
        for move in found["items"]:
            when, promotion = move["at"][:19].replace("T", " "), move["promotion"]
            what = f"{promotion['state']}: {describe(promotion)}" if promotion else in_words(move["pinned_after"])
            why = f"  ({promotion['reason']})" if promotion and promotion["reason"] else ""
            typer.echo(printable(f"{when}  {move['actor']}  {what}{why}"))
        if not found["items"]:
            typer.echo("Never promoted.")


def describe(promotion: Json) -> str:
    """Return what a promotion does, in words."""
    if promotion["change"] == "approval":
        return f"approvals from now on: {promotion['approval']}"
    source = f" of {promotion['from_gateway']}" if promotion["from_gateway"] else ""
    return f"{in_words(promotion['from_revision'])} -> {in_words(promotion['revision'])}{source}"


def _target(revision: str | None, from_: str | None, approval: int | None) -> Json:
    given: Json = {"revision": revision, "from": from_, "approval": approval}
    named = {key: value for key, value in given.items() if value is not None}
    if len(named) != 1:
        raise typer.BadParameter("give one of REVISION, --from and --approval")
    return named if revision is None else {"revision": _revision(revision)}


def _revision(text: str | None) -> int | str | None:
    if text == _NEWEST:
        return None
    if text is None or text == _LATEST:
        return text
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is not a revision, `{_LATEST}` or `{_NEWEST}`", param_hint="REVISION")
    return int(text)


def _print(found: Json) -> None:
    print_rows(found, "No difference.")
    for row in found["excluded"]:
        typer.secho(printable(f"refused: {row['kind']} {row['name']}: {joined(row['reasons'])}"), fg="red", err=True)
    for reason in found["reasons"]:
        typer.secho(printable(f"refused: {reason['where']}: {reason['message']}"), fg="red", err=True)
    for what, variables in (("not set there", found["lacking"]), ("left out without", found["missing"])):
        for variable in variables:
            needed_by = ", ".join(variable["needed_by"])
            typer.secho(printable(f"{what}: {variable['name']} (needed by {needed_by})"), fg="yellow", err=True)
    promotion = found["promotion"]
    if found["state"] == "unchanged":
        typer.echo(printable(f"{found['gateway']} has it already."))
    elif promotion is not None:
        left = promotion["needed"] - len(promotion["approvals"])
        waits = f"; {left} more must approve it" if found["state"] == "pending" else ""
        would = "would be " if found["dry_run"] else ""
        typer.echo(printable(f"{found['gateway']}: {would}{found['state']}: {describe(promotion)}{waits}"))
    if found["dry_run"]:
        typer.echo("Nothing was written.")
