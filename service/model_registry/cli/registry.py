"""A registry over HTTP, for commands: its options, and the Python client, asked once and patient with long writes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, TypeVar

import httpx
import typer

from model_registry.client.blocking import Client
from model_registry.client.operations import DEFAULT_URL
from model_registry.client.requests import Call, error_of
from model_registry.client.retries import RetryPolicy
from model_registry.errors import RegistryUnreachable

T = TypeVar("T")

_ONCE = RetryPolicy(answer=120, connect=5, attempts=1)
"""Importing a large project is one long write; a registry that is there takes a connection at once."""

RegistryUrl = Annotated[str, typer.Option("--registry", envvar="MODEL_REGISTRY_URL", help="URL of the registry.")]
ReaderKey = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar="MODEL_REGISTRY_API_KEY", help="API key with the scope read, if the registry has keys."
    ),
]


@dataclass(frozen=True, slots=True)
class RegistryHttp:
    """Where a registry is, and the key for it: two options of a command."""

    url: RegistryUrl = DEFAULT_URL
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", envvar="MODEL_REGISTRY_API_KEY", help="API key with the scope needed, or admin."),
    ] = None

    def ask(self, call: Call[T]) -> T:
        """Ask once: a write may have happened although its answer was lost, so trying again is the user's decision.

        Takes at most 120 s (5 s to connect). Errors: RegistryUnreachable, or the error that the registry answers.
        """
        with Client(self.url, self.api_key, patience=_ONCE) as client:
            return client.ask(call)

    def ask_with_headers(self, call: Call[T]) -> tuple[T, httpx.Headers]:
        """As `ask`, with the headers of the answer."""
        with Client(self.url, self.api_key, patience=_ONCE) as client:
            response = client.carry_out(client.core.response(call))
        if not response.is_success:
            raise error_of(response)
        with self.expect_shape():
            return call.read(response.content), response.headers

    @contextmanager
    def expect_shape(self) -> Iterator[None]:
        """Turn what goes wrong with an answer of an unexpected shape into RegistryUnreachable."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryUnreachable(f"Unexpected response from {self.url}: is it a model registry?") from error


def grouped_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses, such as `RegistryHttp`: Typer sees their fields as the command's own options."""
    own = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {name: one.annotation for name, one in own.items() if is_dataclass(one.annotation)}
    fields = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}
    options = [
        option.replace(name=name if option is one else f"{name}_{option.name}", kind=inspect.Parameter.KEYWORD_ONLY)
        for name, one in own.items()
        for option in (fields[name].values() if name in groups else [one])
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 (what Typer has parsed)
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(f"{name}_{field}") for field in fields[name]})
        command(**given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run
