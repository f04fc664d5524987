"""Import a TensorZero project into the registry: `model-registry tensorzero import` under the name that migrations use.

Run it with the project's own Python: .venv/bin/python scripts/migrate_tensorzero.py --config-path P --dry-run
"""

import argparse
import sys

from model_registry.cli import main

parser = argparse.ArgumentParser(
    description="Import a TensorZero project into the registry.",
    epilog="Further options (--dry-run, --registry, --api-key): see model-registry tensorzero import --help.",
    allow_abbrev=False,
)
parser.add_argument(
    "--config-path", action="append", required=True, metavar="P", help="a TOML file, a directory or a glob; repeatable"
)

if __name__ == "__main__":
    arguments, others = parser.parse_known_args()
    sys.argv[1:] = ["tensorzero", "import", *others, "--", *arguments.config_path]
    main()
