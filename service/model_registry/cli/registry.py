"""A registry over HTTP, for commands: the Python client, asked once, and patient with long writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from model_registry.client.blocking import Client
from model_registry.client.core import RetryPolicy
from model_registry.client.requests import Call
from model_registry.errors import RegistryUnreachable

T = TypeVar("T")

_ONCE = RetryPolicy(answer=120, connect=5, attempts=1)
"""Importing a large project is one long write; a registry that is there takes a connection at once."""

RegistryUrl = Annotated[str, typer.Option("--registry", envvar="MODEL_REGISTRY_URL", help="URL of the registry.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="MODEL_REGISTRY_API_KEY", help="API key with the scope admin.")
]
ReaderKey = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar="MODEL_REGISTRY_API_KEY", help="API key with the scope read, if the registry has keys."
    ),
]


@dataclass(frozen=True, slots=True)
class RegistryHttp:
    """Where a registry is, and the key we come with."""

    url: str
    api_key: str | None = None

    def ask(self, call: Call[T]) -> T:
        """Ask once: a write may have happened although its answer was lost, so trying again is the user's decision.

        Takes at most 120 s (5 s to connect). Errors: RegistryUnreachable, or the error that the registry answers.
        """
        with Client(self.url, self.api_key, patience=_ONCE) as client:
            return client.ask(call)

    @contextmanager
    def expect_shape(self) -> Iterator[None]:
        """Turn what goes wrong with an answer of an unexpected shape into RegistryUnreachable."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryUnreachable(f"Unexpected response from {self.url}: is it a model registry?") from error
