"""Import a TensorZero project into the registry: `model-registry tensorzero import` under the name that migrations use.

    .venv/bin/python scripts/migrate_tensorzero.py [--config-path P] [--dry-run]

Without --config-path it takes the first of the usual places that exists. With SUPABASE_URL and SUPABASE_SERVICE_KEY it
writes into that project, whether or not a registry runs; with MODEL_REGISTRY_URL or --registry into that registry.
"""

import argparse
import os
import sys
from pathlib import Path

from model_registry.cli import main
from model_registry.cli.temporary_service import temporary_service
from model_registry.errors import RegistryError

USUAL = (
    "pmoves/tensorzero/config/tensorzero.toml",
    "tensorzero/config/tensorzero.toml",
    "config/tensorzero.toml",
    "tensorzero.toml",
    "/home/pmoves/PMOVES.AI/pmoves/tensorzero/config/tensorzero.toml",
)
SUPABASE_KEYS = ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_KEY")
SUPABASE_URL = "http://localhost:3010"
"""Where the original of this script looked for Supabase when it was not told."""

parser = argparse.ArgumentParser(
    description="Import a TensorZero project into the registry.",
    epilog="Further options (--dry-run, --registry, --api-key): see model-registry tensorzero import --help. "
    "Environment: SUPABASE_URL and SUPABASE_SERVICE_KEY, or MODEL_REGISTRY_URL and MODEL_REGISTRY_API_KEY.",
    allow_abbrev=False,
)
parser.add_argument(
    "--config-path",
    action="append",
    metavar="P",
    help=f"a TOML file, a directory or a glob; repeatable. By default the first that exists of {', '.join(USUAL)}",
)


def usual_path() -> str:
    """The project where projects usually are."""
    path = next((path for path in USUAL if Path(path).is_file()), None)
    if path is None:
        parser.error(f"no tensorzero.toml at {', '.join(USUAL)}; give its place with --config-path")
    print(f"Importing {path}", file=sys.stderr)
    return path


def names_a_registry(options: list[str]) -> bool:
    """Whether the caller says which registry to write to."""
    return bool(os.environ.get("MODEL_REGISTRY_URL")) or any(option.startswith("--registry") for option in options)


def run(options: list[str], paths: list[str]) -> None:
    """Run the command. It ends the process."""
    sys.argv[1:] = ["tensorzero", "import", *options, "--", *paths]
    main()


if __name__ == "__main__":
    arguments, others = parser.parse_known_args()
    chosen = arguments.config_path or [usual_path()]
    has_key = any(os.environ.get(name) for name in SUPABASE_KEYS)
    if names_a_registry(others) or not (has_key or os.environ.get("SUPABASE_URL")):
        run(others, chosen)
    elif not has_key:
        parser.error("SUPABASE_URL is set, and SUPABASE_SERVICE_KEY is not. Set it, or unset SUPABASE_URL")
    else:
        os.environ["SUPABASE_URL"] = os.environ.get("SUPABASE_URL") or SUPABASE_URL
        print(f"Writing to Supabase at {os.environ['SUPABASE_URL']}", file=sys.stderr)
        try:
            with temporary_service() as (url, key):
                os.environ["MODEL_REGISTRY_URL"], os.environ["MODEL_REGISTRY_API_KEY"] = url, key
                run(others, chosen)
        except SystemExit as end:
            if not end.code:
                print(
                    "That service ran only for the import. Start your own with: model-registry serve", file=sys.stderr
                )
            raise
        except RegistryError as error:
            sys.exit(f"error: {error.message}")
