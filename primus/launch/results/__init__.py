"""Results of benchmarks and checks: rows that ranks append to results.jsonl, and what is made of them.

A task that has results holds `COLUMNS`, the columns of each kind of row, and may hold `TITLES` (of kinds) and
`page(rows) -> sections of the report`, where `rows` are the rows by kind, and `SHOWN`, kinds whose rows stand there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Row = dict[str, Any]
Rows = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Column:
    """A column of a table of results; `kind` and `time` (when it was written) are every row's own.

    `better`: which direction is better; None: neither is. `key`: a parameter, which with the other keys says which row
    it is: rows of two runs with the same keys are compared, and what was measured is named by them in MLflow.
    `steady`: most runs have one value of it, which is told once then, beside the title of the table.
    `trouble`: it says what is wrong: a row of its kind that an earlier run has not, or with a better `level`, is worse.
    """

    name: str
    title: str
    unit: str = ""
    digits: int = 2
    better: Literal["higher", "lower"] | None = None
    key: bool = False
    steady: bool = False
    trouble: bool = False

    @property
    def head(self) -> str:
        """`time, p50 (ms)`"""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def say(self, value: Any) -> str:
        """A value in words, empty for none; what `digits` would show as zero has as many digits that count.

        Of a parameter nothing is rounded away: 1.5 is not 2.
        """
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if not isinstance(value, (int, float)):
            return str(value)
        if self.key and round(value, self.digits) != value:  # a parameter is exact
            return f"{value:,.6g}"
        small = 0 < abs(value) < 10**-self.digits
        return f"{value:.{max(1, self.digits)}g}" if small else f"{value:,.{self.digits}f}"


def key(name: str, title: str = "", unit: str = "", digits: int = 0, *, steady: bool = False) -> Column:
    """A column of parameters."""
    return Column(name, title or name.replace("_", " "), unit, digits, key=True, steady=steady)


Columns = Mapping[str, Sequence[Column]]


def number(value: Any) -> float | None:
    """A measured value as a number; None for text, for yes and no, and for nothing."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
