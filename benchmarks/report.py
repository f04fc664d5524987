"""Results as a table and as JSON: each figure, its peer or limit, and whether its goal was met. Measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

NOISY = 0.1
"""Number of cores used by other programs above which a row is marked."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a row: a bound on its ratio or on its own value."""

    of: Literal["ratio", "value"]
    bound: Literal["at least", "at most"]
    number: float

    def met(self, row: Row) -> bool:
        """Whether the row meets the goal."""
        found = row.ratio if self.of == "ratio" else row.value
        return found is not None and (found >= self.number if self.bound == "at least" else found <= self.number)

    def text(self, unit: str) -> str:
        """For the table."""
        sign = "≥" if self.bound == "at least" else "≤"
        return f"{sign} {self.number:g}{' x' if self.of == 'ratio' else f' {unit}'}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the registry's figure, and that of a peer or limit in the same minutes."""

    what: str
    unit: str
    values: tuple[float, ...]
    """One per round."""
    beside: str = ""
    beside_values: tuple[float, ...] = ()
    goal: Goal | None = None
    foreign: float = 0.0
    """Number of cores that other programs used meanwhile."""
    more: dict[str, float] | None = None
    """Further figures, for the JSON."""

    @property
    def value(self) -> float:
        """The median round."""
        return statistics.median(self.values)

    @property
    def beside_value(self) -> float | None:
        """The median round of the peer or limit."""
        return statistics.median(self.beside_values) if self.beside_values else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios, because both halves of a round run under the same conditions."""
        if not self.beside_values:
            return None
        if len(self.values) == len(self.beside_values):
            return statistics.median(a / b for a, b in zip(self.values, self.beside_values, strict=True))
        return self.value / statistics.median(self.beside_values)

    @property
    def noise(self) -> float:
        """The spread of the rounds, as a share of the median: half of them are nearer to it."""
        if len(self.values) < 4:  # noqa: PLR2004 (too few for quarters)
            return (max(self.values) - min(self.values)) / 2 / self.value
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / 2 / self.value

    def document(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "values": self.values,
            "beside": self.beside,
            "beside_value": self.beside_value,
            "beside_values": self.beside_values,
            "ratio": self.ratio,
            "goal": self.goal and {"of": self.goal.of, "bound": self.goal.bound, "number": self.goal.number},
            "met": self.goal and self.goal.met(self),
            "noise": self.noise,
            "foreign_cores": self.foreign,
            "more": self.more or {},
        }


HEADER = ("what", "registry", "beside it", "", "ratio", "goal", "", "noise")


def table(rows: Sequence[Row]) -> str:
    """All rows as one Markdown table, aligned so that it is readable as plain text."""
    cells = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    numbers = (1, 3, 4, 7)
    text = [
        "| "
        + " | ".join(
            c.rjust(w) if i in numbers else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if i in numbers else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([text[0], rule, *text[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    beside = row.beside_value
    return (
        row.what,
        f"{shown(row.value)} {row.unit}",
        row.beside,
        "" if beside is None else f"{shown(beside)} {row.unit}",
        "" if row.ratio is None else f"{row.ratio:.2f} x",
        row.goal.text(row.unit) if row.goal else "",
        ("met" if row.goal.met(row) else "MISSED") if row.goal else "",
        f"± {row.noise:.0%}{' *' if row.foreign > NOISY else ''}" if len(row.values) > 1 else "",
    )


def shown(number: float) -> str:
    """Three significant digits, which is more than the noise justifies."""
    if number >= 100:  # noqa: PLR2004 (no digits behind the point are worth showing from here on)
        return f"{round(number, -(len(str(int(number))) - 3)):,.0f}"
    return f"{number:.3g}"
