"""`model-registry gateways ...`: the programs that take requests for models."""

from __future__ import annotations

import typer

from model_registry.cli.gateways import delivery, environment, importing, promotion, rows
from model_registry.cli.sync import sync

app = typer.Typer(
    help="The programs that take requests for models: what each carries, gets, needs, and which revision it has.",
    no_args_is_help=True,
)

app.command("list")(rows.list_gateways)
app.command("get")(rows.get)
app.command("add")(rows.add)
app.command("set")(rows.set_)
app.command("rm")(rows.rm)
app.command("status")(delivery.status)
app.command("config")(delivery.config)
app.command("export")(delivery.export)
app.command("diff")(delivery.diff)
app.command("sync")(sync)
app.command("promote")(promotion.promote)
app.command("approve")(promotion.approve)
app.command("withdraw")(promotion.withdraw)
app.command("history")(promotion.history)
app.command("env")(environment.env)
app.command("import")(importing.import_)
