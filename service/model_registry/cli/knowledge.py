"""`model-registry knowledge ...`: import of facts about models, and export of the catalogue in other formats.

Sources are read in `imports/sources/`; the registry plans the import. This module parses options and prints results.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from model_registry.cli import knowledge_export
from model_registry.cli.knowledge_import import ImportOptions, bring_in, reading_bar
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.entities.json_types import Json
from model_registry.entities.model_name import name_at_hub
from model_registry.entities.offer import SourceContent
from model_registry.entities.server_address import is_unspecified, ollama_base
from model_registry.errors import SourceUnreadable
from model_registry.imports.sources import csv_rows, huggingface, litellm_prices, servers, training_service
from model_registry.imports.sources.asking import (
    HUB,
    Asking,
    Question,
    answered,
    ask_hub,
    ask_ollama,
    ask_openai,
    ask_training_service,
    read_price_map,
)
from model_registry.imports.sources.fetch import fetch_json, is_url, price_map_of_wheel, read_json, read_text
from model_registry.imports.sources.model_config import as_object

app = typer.Typer(
    help="Import facts about models from other sources, or export the catalogue for other programs.",
    no_args_is_help=True,
)
importers = typer.Typer(
    help="Import facts about models. Fields set by people or by other importers are kept.",
    no_args_is_help=True,
)
app.add_typer(importers, name="import")
app.add_typer(knowledge_export.app, name="export")

Provider = Annotated[str | None, typer.Option("--provider", help="Name of the provider in the registry.")]


@importers.command("litellm")
@grouped_options
def import_litellm(
    place: Annotated[
        str | None,
        typer.Argument(
            help="File or URL of the price map; by default the map of the installed litellm.", metavar="MAP"
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only models of this provider, by LiteLLM's or the registry's name. Repeatable."),
    ] = None,
    provider: Provider = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import prices, limits and capabilities of hosted models from LiteLLM's price map.

    New providers are inactive, and so are new models without --activate.

    Example: `model-registry knowledge import litellm --dry-run`
    """
    if provider is not None and not only:
        raise typer.BadParameter(
            "--provider requires --only, the corresponding provider of LiteLLM", param_hint="--provider"
        )
    reading = read_price_map(_price_map(place), only or (), datetime.now(UTC).date())
    if provider is not None:
        reading = reading.with_offers(provider=provider)
    bring_in(litellm_prices.SOURCE, reading, options, registry)


@importers.command("ollama")
@grouped_options
def import_ollama(
    url: Annotated[str, typer.Argument(help="URL of the server.", metavar="URL")] = "http://127.0.0.1:11434",
    provider: Provider = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import the models of an Ollama server, with sizes, quantization and context.

    Models are added to the provider with this URL; --provider names a new one. A provider that has another URL is
    refused.

    Example: `model-registry knowledge import ollama http://gpu-1:11434 --provider ollama_gpu_1`
    """
    root = ollama_base(_server(url)).rstrip("/").removesuffix("/v1")
    reading = _asked(ask_ollama(root, provider or "ollama"), root)
    if provider is None:
        reading = reading.with_offers(provider_suggested=True)
    bring_in(servers.OLLAMA, reading, options, registry)


@importers.command("openai")
@grouped_options
def import_openai(
    url: Annotated[str, typer.Argument(help="Base URL of the server; /models is appended.", metavar="URL")],
    provider: Annotated[str, typer.Option("--provider", help="Name of the provider in the registry.")],
    provider_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Type of the provider, if it is new; by default vllm or sglang if detected, else openai_compatible.",
        ),
    ] = None,
    key_variable: Annotated[
        str | None, typer.Option("--key-variable", help="Environment variable that holds the server's API key.")
    ] = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import the models of an OpenAI-compatible server: vLLM, SGLang, Groq, OpenRouter, ...

    Example: `model-registry knowledge import openai http://localhost:8000/v1 --provider vllm_local --type vllm`
    """
    base = _server(url)
    headers = {}
    if key_variable is not None:
        if not (key := os.environ.get(key_variable)):
            raise SourceUnreadable(f"the environment variable {key_variable} is not set")
        headers["Authorization"] = f"Bearer {key}"
    reading = _asked(ask_openai(base, provider, provider_type), base, headers)
    bring_in(servers.OPENAI, reading, options, registry)


@importers.command("training")
@grouped_options
def import_training(
    place: Annotated[str, typer.Argument(help="URL of the service, or JSON file with its models.", metavar="PLACE")],
    framework: Annotated[str | None, typer.Option("--framework", help="Only models of this framework.")] = None,
    provider: Provider = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import the models of a training service, or of a file in the form of its /models/list, with their whole entries.

    They become models of the type `other`, which no gateway routes, at the provider with this URL; --provider names a
    new one, by default called as the framework, or `training`.

    Example: `model-registry knowledge import training http://timm:8001`
    """
    name = provider or framework or "training"
    if is_url(place):
        base = _server(place)
        reading = _asked(ask_training_service(base, framework, name), base)
    else:
        document = read_json(Path(place))
        reading = training_service.read_training_models(document, framework=framework, provider=name, api_base=None)
    if provider is None:
        reading = reading.with_offers(provider_suggested=True)
    bring_in(training_service.SOURCE, reading, options, registry)


@importers.command("huggingface")
@grouped_options
def import_huggingface(
    models: Annotated[
        list[str], typer.Argument(help="Names of models on the Hub, such as Qwen/Qwen3-8B.", metavar="MODEL...")
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="Local config.json of the model, instead of a request to the Hub.")
    ] = None,
    info: Annotated[
        Path | None, typer.Option("--info", help="Saved response of the Hub's API, instead of a request to the Hub.")
    ] = None,
    hub: Annotated[str, typer.Option("--hub", envvar="HF_ENDPOINT", help="URL of the Hub.")] = HUB,
    provider: Provider = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import architecture, parameters, context, quantization and an estimate of the memory needed by open models.

    Updates the rows of all providers whose model_id is the name; --provider creates a missing row there. Of GGUF files
    of several types, name one: `unsloth/Qwen3-8B-GGUF:Q4_K_M`.

    Example: `model-registry knowledge import huggingface Qwen/Qwen3-8B --provider vllm_local`
    """
    if (config or info) and len(models) > 1:
        raise typer.BadParameter("--config and --info require exactly one model")

    if config or info:
        name = name_at_hub(models[0])
        reading = huggingface.read_huggingface(name, _of_file(config), _of_file(info), provider)
        # A new row at an Ollama needs the name with hf.co/ in front.
        reading = reading if "://" in models[0] else reading.with_offers(model_id=models[0])
    else:
        reading = _asked(ask_hub(hub, models, provider), hub)
    bring_in(huggingface.SOURCE, reading, options, registry)


@importers.command("csv")
@grouped_options
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV file with a header row.", metavar="FILE")],
    source: Annotated[str, typer.Option("--source", help="Source recorded with each imported field.")] = "csv",
    provider: Annotated[str | None, typer.Option("--provider", help="Provider of rows that name none.")] = None,
    *,
    options: ImportOptions,
    registry: RegistryHttp,
) -> None:
    """Import a CSV table with one row per model and one column per fact, as written by `knowledge export csv`.

    Example: `model-registry knowledge import csv models.csv --source "benchmarks of our own"`
    """
    reading = csv_rows.read_csv(read_text(file), provider)
    bring_in(source, reading, options, registry)


def _price_map(place: str | None) -> Json:
    with reading_bar("Reading LiteLLM's prices") as advance:
        if place is not None and is_url(place):
            return fetch_json(place, progress=advance)
        path = price_map_of_wheel() if place is None else Path(place)
        if path is None:
            raise SourceUnreadable("litellm is not installed: pass a file or URL of its price map")
        return read_json(path)


def _asked(asking: Asking, place: str, headers: dict[str, str] | None = None) -> SourceContent:
    """Ask a source all its questions, with a progress bar."""
    with reading_bar(f"Asking {place}") as advance:

        def ask(question: Question) -> Json:
            advance(question.done, question.total)
            return fetch_json(question.url, headers=headers, body=question.body)

        return answered(asking, ask)


def _of_file(path: Path | None) -> dict[str, Any]:
    return as_object(read_json(path)) if path else {}


def _server(url: str) -> str:
    """The URL of a server as others reach it too. Errors: typer.BadParameter."""
    url = (url if "://" in url else f"http://{url}").rstrip("/")
    if is_unspecified(url):
        raise typer.BadParameter(
            f"{url} is every address of a machine: write the name by which gateways reach it, such as localhost where "
            "they run on this machine",
            param_hint="URL",
        )
    return url
