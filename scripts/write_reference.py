"""Write docs/reference from the code: settings, errors, commands, provider types, and the HTTP routes.

python scripts/write_reference.py          write the pages
python scripts/write_reference.py --check  exit with 1 if a page differs from the code
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from model_registry import errors
from model_registry.api.problems import status_of
from model_registry.app import create_app
from model_registry.cli import app as commands
from model_registry.cli.errors import EXIT_CODE_MEANINGS
from model_registry.cli.lazy_commands import LazyCommand
from model_registry.entities.gpus import GPUS
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.settings import Settings

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/write_reference.py; a test compares it with the code. -->\n\n"


def settings_page() -> str:
    """Every environment variable."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at start. An empty value counts as not set.",
        "",
        "| variable | default | meaning |",
        "| --- | --- | --- |",
    ]
    computed = {"cache_dir": "a cache directory of the user", "host": "`127.0.0.1`; with `DOCKED_MODE` `0.0.0.0`"}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        names = [alias] if isinstance(alias, str) else [str(choice) for choice in getattr(alias, "choices", [])]
        shown = computed[name] if field.default_factory else "" if field.default is None else f"`{field.default}`"
        lines.append(f"| {' or '.join(f'`{each}`' for each in names)} | {shown} | {field.description} |")
    return NOTE + "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every error code."""
    lines = [
        "# Errors",
        "",
        "Every error response is `application/problem+json` (RFC 9457): its `code` never changes, its `detail` states",
        "what happened and what to do, and its `reasons` list each fault with its place.",
        "",
        "| code | status | title |",
        "| --- | --- | --- |",
    ]
    rows = {kind.code: (status_of(kind("")), kind.title()) for kind in _tree(errors.RegistryError)}
    lines += [f"| `{code}` | {status} | {title} |" for code, (status, title) in sorted(rows.items())]
    return NOTE + "\n".join(lines) + "\n"


def _tree(kind: type[errors.RegistryError]) -> Iterator[type[errors.RegistryError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def gpus_page() -> str:
    """Every GPU that is known by name."""
    lines = [
        "# GPUs",
        "",
        "Names that `gpu` takes in checks of hardware. Letter case, spaces, makers' names and `RTX` may differ or",
        "be left out: `NVIDIA GeForce RTX 4090`, `rtx4090` and `4090` are the same. Where a GPU comes with",
        "different memory, the memory is part of the name: `A100 80 GB`.",
        "",
        "Memory is as the maker states it (product pages and data sheets of NVIDIA, AMD and Intel). Makers mean GB of",
        "2^30 bytes, the registry 10^9: the difference of 7% is left to the CUDA context, the display and ECC.",
        "Capability: NVIDIA's list at <https://developer.nvidia.com/cuda-gpus>.",
        "",
        "| GPU | memory, GB | CUDA compute capability |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {gpu.name} | {gpu.memory_gb} | {gpu.capability or ''} |" for gpu in GPUS]
    return NOTE + "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command."""
    lines = [
        "# Commands",
        "",
        "`model-registry COMMAND --help` describes the arguments and options.",
        "",
        "| command | what it does |",
        "| --- | --- |",
    ]
    root = typer.main.get_command(commands)
    lines += [f"| `{name}` | {text} |" for name, text in _commands(root, "model-registry")]
    lines += ["", "## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODE_MEANINGS.items()]
    return NOTE + "\n".join(lines) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (a click command or group)
    if isinstance(command, LazyCommand):
        command = command.load()
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        options = [p.opts[0] if p.param_type_name == "option" else str(p.name).upper() for p in command.params]
        shown = " ".join(f"[{o}]" if o.startswith("-") else o for o in options if o != "--help")
        yield f"{name} {shown}".strip(), (command.help or "").strip().partition("\n")[0]
    for child in sorted(children):
        yield from _commands(children[child], f"{name} {child}")


def provider_types_page() -> str:
    """Every provider type."""
    lines = [
        "# Provider types",
        "",
        "- **gateway**: the TensorZero provider type that it is rendered as.",
        "- **base URL**: whether a provider of the type has an `api_base`.",
        "- **routable**: whether `route_by` may be `deployments`.",
        "- **on nodes**: whether its models run on GPU nodes while `route_by` is not set.",
        "- **OpenAI**: whether its servers speak OpenAI's protocol: the registry sends requests of `/v1` on to them,",
        "  and `cost` can be derived from the tokens that they report.",
        "- **LiteLLM**: the prefix of its models in LiteLLM.",
        "",
        "| type | gateway | base URL | routable | on nodes | OpenAI | embeddings | LiteLLM |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in PROVIDER_TYPES.values():
        base = "required" if kind.base_required else "optional" if kind.base_key else "-"
        cells = [f"`{kind.name}`", kind.gateway_type or "-", base]
        cells += ["yes" if flag else "-" for flag in (kind.routable, kind.runs_on_nodes, kind.speaks_openai)]
        cells += ["yes" if kind.embeddings else "-", f"`{kind.litellm.prefix}`" if kind.litellm else "-"]
        lines.append(f"| {' | '.join(cells)} |")
    return NOTE + "\n".join(lines) + "\n"


async def http_page() -> str:
    """Every route of the OpenAPI document."""
    settings = Settings.model_validate({"POSTGREST_URL": "http://127.0.0.1:1", "POSTGREST_KEY": "not used"})
    document = (await create_app(settings)).openapi()
    lines = [
        "# HTTP",
        "",
        "The complete documentation, with schemas and examples, is at `/docs` of a running service.",
        "",
        "| request | what it does |",
        "| --- | --- |",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines.append(f"| `{method.upper()} {path}` | {operation['summary']} |")
    return NOTE + "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "commands.md": commands_page(),
        "provider-types.md": provider_types_page(),
        "gpus.md": gpus_page(),
        "http.md": asyncio.run(http_page()),
    }


def main() -> int:
    """Write the pages, or compare them with the code."""
    stale = {name: text for name, text in pages().items() if not _is_written(name, text)}
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/reference/{name} differs from the code: run python scripts/write_reference.py")
        return 1 if stale else 0
    for name, text in stale.items():
        (PAGES / name).write_text(text)
        print(f"wrote docs/reference/{name}")
    return 0


def _is_written(name: str, text: str) -> bool:
    path = PAGES / name
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
