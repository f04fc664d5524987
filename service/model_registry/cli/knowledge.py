"""`model-registry knowledge ...`: import of facts about models, and export of the catalogue in other formats.

Sources are read in `imports/sources/`; the registry plans the import. This module parses options and prints results.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from http.client import NOT_FOUND
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from model_registry.cli import knowledge_export
from model_registry.cli.knowledge_import import ImportOptions, bring_in, reading_bar
from model_registry.cli.registry import RegistryHttp, grouped_options
from model_registry.entities.json_types import Json
from model_registry.entities.model_name import name_at_hub
from model_registry.entities.offer import PassedOver, SourceContent
from model_registry.entities.server_address import is_unspecified, ollama_base
from model_registry.errors import SourceUnreadable
from model_registry.imports.sources import csv_rows, huggingface, litellm_prices, servers
from model_registry.imports.sources.fetch import fetch_json, is_url, price_map_of_wheel, read_json, read_text
from model_registry.imports.sources.items import fetch_each
from model_registry.imports.sources.litellm_prices import namesake
from model_registry.imports.sources.model_config import as_object
from model_registry.imports.sources.weights import weights_of

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

_HUB = "https://huggingface.co"


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
    document = _price_map(place)
    if only and isinstance(document, dict):
        document = {key: entry for key, entry in document.items() if _is_of(entry, only)}
    reading = litellm_prices.read_prices(document, datetime.now(UTC).date())
    bring_in(litellm_prices.SOURCE, _at(reading, provider), options, registry)


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
    with reading_bar(f"Asking {root}") as advance:
        tags = fetch_json(f"{root}/api/tags")
        shown, unread = fetch_each(
            servers.model_names(tags), lambda name: _object_at(f"{root}/api/show", body={"model": name}), advance
        )
    reading = servers.read_ollama(tags, shown, root, provider or "ollama").with_unread(unread)
    if provider is None:
        reading = _each(reading, provider_suggested=True)
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
    with reading_bar(f"Asking {base}") as advance:
        answer = fetch_json(f"{base}/models", headers=headers, progress=advance)
    kind = provider_type or servers.type_of_server(answer)
    reading = servers.read_openai_models(answer, provider, kind, base)
    bring_in(servers.OPENAI, reading, options, registry)


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
    hub: Annotated[str, typer.Option("--hub", envvar="HF_ENDPOINT", help="URL of the Hub.")] = _HUB,
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

    def read(model: str) -> SourceContent:
        name = name_at_hub(model)
        if config or info:
            reading = huggingface.read_huggingface(name, _of_file(config), _of_file(info), provider)
        else:
            reading = _of_hub(hub, name, provider)
        # A new row at an Ollama needs the name with hf.co/ in front.
        return reading if "://" in model else _each(reading, model_id=model)

    with reading_bar("Reading" if config or info else f"Asking {hub}") as advance:
        readings, unread = fetch_each(models, read, advance)
    bring_in(huggingface.SOURCE, SourceContent.joined(readings.values()).with_unread(unread), options, registry)


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


def _is_of(entry: object, providers: list[str]) -> bool:
    """Whether an entry of the price map belongs to one of these providers, by LiteLLM's or the registry's name."""
    theirs = entry.get("litellm_provider") if isinstance(entry, dict) else None
    return isinstance(theirs, str) and not {theirs, namesake(theirs, "").name}.isdisjoint(providers)


def _at(reading: SourceContent, provider: str | None) -> SourceContent:
    """The same offers, at one provider of the registry."""
    return reading if provider is None else _each(reading, provider=provider)


def _each(reading: SourceContent, **changes: Any) -> SourceContent:  # noqa: ANN401 (fields of an offer)
    """The same offers, with other values of some fields."""
    return replace(reading, offers=tuple(offer.model_copy(update=changes) for offer in reading.offers))


def _of_file(path: Path | None) -> dict[str, Any]:
    return as_object(read_json(path)) if path else {}


def _of_hub(hub: str, model: str, provider: str | None) -> SourceContent:
    """Read a model's facts from the Hub. Not every model has a config.json: GGUF files, for example, need none."""
    unread: list[PassedOver] = []
    repository = quote(model.partition(":")[0])
    info = _object_at(f"{hub}/api/models/{repository}")
    config = _more_of(f"{hub}/{repository}/resolve/main/config.json", f"{model}'s config.json", unread)
    if "requirements" in weights_of(model, config, info).reasons:
        # The sizes of the files decide what the Hub's counts leave open.
        info = _more_of(f"{hub}/api/models/{repository}?blobs=true", f"the sizes of {model}'s files", unread) or info
    return huggingface.read_huggingface(model, config, info, provider).with_unread(unread)


def _more_of(url: str, what: str, unread: list[PassedOver]) -> dict[str, Any]:
    """Fetch what a model need not have: nothing where there is none, and a note where it could not be read."""
    try:
        return _object_at(url)
    except SourceUnreadable as error:
        if error.data.get("status") != NOT_FOUND:
            unread.append(PassedOver(what, error.message))
        return {}


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


def _object_at(url: str, *, body: dict[str, str] | None = None) -> dict[str, Any]:
    """Fetch a JSON object. Errors: SourceUnreadable, also for an answer that is none."""
    answer = fetch_json(url, body=body)
    if not isinstance(answer, dict):
        raise SourceUnreadable(f"{url} answers with no JSON object")
    return answer
