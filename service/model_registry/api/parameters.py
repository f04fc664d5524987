"""Query parameters shared by several routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from model_registry.selection.list_filters import ModelFilter, Sort

Limit = Annotated[int | None, Query(ge=1, le=100_000, description="Maximum number of rows; all by default.")]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1, description="Number of rows to skip.")]
DryRun = Annotated[bool, Query(description="Report what would change, without writing.")]


class ModelQuery(ModelFilter):
    """The filters, the order and the page of a list of models."""

    sort: Sort = None
    limit: Limit = None
    offset: Offset = 0
