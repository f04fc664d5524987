"""A category of models, for people who browse the catalogue."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from model_registry.entities.base import Draft, Row, ShortName, Text


class Category(Row):
    """A category as stored."""

    key: str
    name: str
    description: str = ""
    icon: str | None = None


class CategoryFacts(Draft):
    """A category without its key."""

    name: ShortName = Field(description="Display name.", examples=["Language models"])
    description: Text = ""
    icon: Annotated[Text, StringConstraints(max_length=200)] | None = Field(
        None, description="An emoji, or the name of an icon.", examples=["✍️"]
    )


class CategoryDraft(CategoryFacts):
    """Writable fields of a category."""

    key: ShortName = Field(description="Key that models refer to in `category`.", examples=["text-llm"])
