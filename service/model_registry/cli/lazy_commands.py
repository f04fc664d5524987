"""Commands that are imported when they are used: lists need only their names, and what each does.

Importing all of them takes as long as starting Python fifty times, and completion would do it at each press of a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(TyperCommand):
    """Stands for a command or a group in lists. Its call, its help and completion below it need what it stands for."""

    def __init__(self, name: str, place: str, **settings: Any) -> None:  # noqa: ANN401 (Typer's own)
        super().__init__(name, **settings)
        self._place = place

    def load(self) -> Any:  # noqa: ANN401 (a command or a group; they have no common class that is public)
        """Import what it stands for: `module:name`, a function or a Typer."""
        module, _, name = self._place.partition(":")
        found = getattr(import_module(f"model_registry.cli.{module}"), name)
        root = typer.Typer(callback=lambda: None, add_completion=False, rich_markup_mode=self.rich_markup_mode)
        if isinstance(found, typer.Typer):
            root.add_typer(found, name=self.name)
        else:
            root.command(self.name)(found)
        group: Any = typer.main.get_command(root)
        return group.commands[self.name]

    def make_context(self, *args: Any, **settings: Any) -> Any:  # noqa: ANN401 (Typer's own)
        """Everything that is done with a command begins here: go on with what it stands for."""
        return self.load().make_context(*args, **settings)


class LazyGroup(TyperGroup):
    """A group of lazy commands: `lazy` has the place and the line of help of each."""

    lazy: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (Typer's own)
        super().__init__(**settings)
        for name, (place, line) in self.lazy.items():
            self.add_command(LazyCommand(name, place, help=line, rich_markup_mode=self.rich_markup_mode))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # Typer's own class
        """Typer's own options are flags without a value, and to read None it would import pydantic."""
        for option in self.get_params(ctx):
            option.default = bool(option.default)
        return super().parse_args(ctx, args)
