"""A promotion: which revision of the catalogue a gateway is moved to, by whom, and who else agreed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Approval(BaseModel):
    """The agreement of another key."""

    by: str = Field(description="Name of the API key.")
    at: str


class Promotion(BaseModel):
    """The last promotion of a gateway, or the one that waits for approvals."""

    state: Literal["done", "pending", "withdrawn"]
    change: Literal["revision", "approval"] = Field(
        "revision", description="What it sets: the revision that the gateway has, or its `settings.approval`."
    )
    revision: int | None = Field(None, description="The revision that it moves to. Null: the newest, from now on.")
    from_revision: int | None = Field(None, description="The revision pinned before. Null: it followed the newest.")
    from_gateway: str | None = Field(None, description="The gateway whose revision it is, if that was asked for.")
    approval: int | None = Field(None, description="The new `settings.approval`, if that is what it sets.")
    leave_out_refused: bool = Field(
        default=False, description="Whether it goes without the rows that validation refuses, if there are any."
    )
    reason: str | None = None
    by: str = Field(description="Name of the API key that asked for it.")
    at: str
    needed: int = Field(0, description="How many other keys must approve it.")
    approvals: list[Approval] = []
