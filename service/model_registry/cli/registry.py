"""A registry over HTTP, for commands: its options, and the Python client, asked once and patient with long writes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from model_registry.client.requests import DEFAULT_URL, Call, error_of
from model_registry.errors import RegistryUnreachable
from model_registry.loopback import is_loopback

if TYPE_CHECKING:
    import httpx

    from model_registry.client.core import Core, Flow

T = TypeVar("T")

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
        return self._carry_out(lambda core: core.ask(call))

    def ask_with_headers(self, call: Call[T]) -> tuple[T, httpx.Headers]:
        """As `ask`, with the headers of the answer."""
        response = self._carry_out(lambda core: core.response(call))
        if not response.is_success:
            raise error_of(response)
        with self.expect_shape():
            return call.read(response.content), response.headers

    def _carry_out(self, flow: Callable[[Core], Flow[T]]) -> T:
        """Without `Client`, which has the classes of all rows: to import them takes as long as all the rest."""
        import time

        import httpx

        from model_registry.client.blocking_flow import perform, run_flow
        from model_registry.client.core import Core
        from model_registry.client.response_cache import Answers
        from model_registry.client.retries import RetryPolicy

        # Importing a large project is one long write; a registry that is there takes a connection at once.
        patience = RetryPolicy(answer=120, connect=5, attempts=1)
        core = Core(self.url or DEFAULT_URL, self.api_key, patience, Answers(None))
        with httpx.Client(trust_env=not is_loopback(core.url)) as http:
            return run_flow(flow(core), lambda step: perform(http, step, time.sleep))

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
