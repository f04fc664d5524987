"""`model-registry gateways import`: existing configurations of gateways, into the registry.

The registry plans imports; this module reads the files, and asks servers and price maps what wildcards stand for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.client.requests import Call, json_object

File = Annotated[
    Path,
    typer.Argument(
        help="LiteLLM's config.yaml, or Helm values or a ConfigMap that hold it; or TensorZero's tensorzero.toml.",
        metavar="FILE",
    ),
]
GatewayName = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        help="The gateway that it is for; made if there is none. By default the only one of its kind, else a new one "
        "named after the file.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")]
SkipKeys = Annotated[
    bool,
    typer.Option(
        "--skip-literal-keys",
        help="Leave out keys that stand in the file; each gets the name of a variable instead, which is printed.",
    ),
]
OnConflict = Annotated[
    Literal["overwrite"] | None,
    typer.Option(
        "--on-conflict",
        help="overwrite: change groups of other LiteLLM gateways that have the same names and mean something else. "
        "Without it they are shown, nothing is written, and the exit code is 1.",
    ),
]
ExpandWildcards = Annotated[
    bool,
    typer.Option(
        "--expand-wildcards",
        help="Make models of wildcards such as openai/*, beside them: those that the server at their api_base lists, "
        "or the price map of an installed litellm.",
    ),
]


@grouped_options
def import_(
    file: File,
    gateway: GatewayName = None,
    dry_run: DryRun = False,
    skip_literal_keys: SkipKeys = False,
    expand_wildcards: ExpandWildcards = False,
    on_conflict: OnConflict = None,
    *,
    registry: RegistryHttp,
) -> None:
    """Import a gateway's configuration, with the files that it includes, in one transaction.

    What it mentions becomes as it has it; everything else in the registry stays unchanged. Keys that stand in the file
    are not stored: without --skip-literal-keys they are named, nothing is written, and the exit code is 1.

    Example: `model-registry gateways import config.yaml --dry-run`
    """
    from rich.console import Console

    from model_registry.cli.tensorzero import Outcome, print_summary
    from model_registry.cli.wildcards import wildcard_names
    from model_registry.imports.plan import ReportEntry

    files, configuration = _read(file)
    wildcards = wildcard_names(files, configuration) if expand_wildcards else {}
    params = {"dry_run": dry_run, "skip_literal_keys": skip_literal_keys, "on_conflict": on_conflict}
    body = {"files": files, "configuration": configuration, "gateway": gateway, "wildcards": wildcards}
    with Console(stderr=True).status(f"Asking the registry at {registry.url}"):
        answer = registry.ask(Call("POST", "/api/gateways/import", json_object, params, body))
    with registry.expect_shape():
        report = tuple(ReportEntry(**entry) for entry in answer["report"])
        outcome = Outcome(report, dry_run, f"the registry at {registry.url}", answer["revision"])
    print_summary(outcome)


def _read(file: Path) -> tuple[dict[str, str], str | None]:
    """Read the files of a configuration. Errors: InvalidConfiguration."""
    from model_registry.gateways.file_kinds import kind_of
    from model_registry.gateways.litellm.reading.config_files import read_config_files
    from model_registry.gateways.tensorzero.reading.project_files import read_files

    files, name = read_files([file]) if file.is_dir() or file.suffix == ".toml" else read_config_files(file)
    if kind_of(files) == "litellm":
        return files, str(name)
    return files, None
