"""What callers send to promote a gateway, and what they are answered."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from model_registry.api.problems import ProblemReason
from model_registry.api.publication import ExclusionView, Publication
from model_registry.api.routes.history import LARGEST, ChangedRow
from model_registry.entities.base import ShortName
from model_registry.entities.gateway import MOST_APPROVALS
from model_registry.entities.promotion import Promotion

_MOST_REASON = 2000
_FIELDS = ("revision", "from", "approval")

_Revision = Annotated[int, Field(ge=0, le=LARGEST)]


class PromotionRequest(BaseModel):
    """What to move a gateway to: one of `revision`, `from` and `approval`."""

    revision: _Revision | Literal["latest"] | None = Field(
        None, description="A revision of the catalogue; `latest`: the newest now; null: the newest, from now on."
    )
    from_: ShortName | None = Field(
        None, alias="from", description="The gateway whose revision it is to have.", examples=["staging"]
    )
    approval: int | None = Field(
        None,
        ge=0,
        le=MOST_APPROVALS,
        description="Instead of a revision: the new `settings.approval`. So it is lowered, with approvals.",
    )
    reason: str | None = Field(None, max_length=_MOST_REASON, description="Why; kept in the history.")
    leave_out_refused: bool = Field(
        default=False,
        description="Move it although validation refuses rows, and leave these out."
        " Not where they hold back everything.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in _FIELDS if {"from": "from_"}.get(name, name) in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(_FIELDS)}")
        return self


class ApprovalRequest(BaseModel):
    """What is approved, as `status` shows it: its `revision`, or its `approval`."""

    revision: _Revision | None = None
    approval: int | None = Field(None, ge=0, le=MOST_APPROVALS)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give revision or approval, as the pending promotion has it")
        return self


class NamedVariable(BaseModel):
    """An environment variable, and what needs it."""

    name: str = Field(examples=["OPENAI_API_KEY"])
    needed_by: list[str] = Field(examples=[["provider openai"]])


class PromotionAnswer(BaseModel):
    """What a promotion does, or would do."""

    dry_run: bool
    gateway: str
    state: Literal["done", "pending", "withdrawn", "unchanged"] = Field(
        description="`pending`: until `promotion.needed` other keys approve it. `unchanged`: it has this revision."
    )
    promotion: Promotion | None
    pinned_revision: int | None = Field(description="What it has now. Null: the newest.")
    accepted: bool = Field(description="Whether the gateway's rules and loader accept its whole configuration there.")
    reasons: list[ProblemReason] = Field(description="Why they refuse it as a whole.")
    excluded: list[ExclusionView] = Field(description="The rows that they refuse.")
    lacking: list[NamedVariable] = Field(
        description="Variables that it names and that are not set where the gateway runs, as far as that is known."
    )
    missing: list[NamedVariable] = Field(
        description="Variables that are not set there, or not known to be: what needs them is left out."
    )
    added: int
    removed: int
    changed: int
    items: list[ChangedRow] = Field(description="The rows that differ from what it has now.")
    text: str = Field(description="The difference of its files, as `diff -u` shows it.")
    publication: Publication | None = Field(None, description="What became of the change; only with `wait`.")


class GatewayMove(BaseModel):
    """A change of what revision a gateway has, or of a promotion."""

    revision: int = Field(description="The registry's revision of the change.")
    at: str
    actor: str
    pinned_before: int | None
    pinned_after: int | None
    promotion: Promotion | None = Field(description="The promotion, as this change left it; null: it was set by hand.")


class GatewayHistory(BaseModel):
    """What became of a gateway, newest first."""

    items: list[GatewayMove]
    count: int
