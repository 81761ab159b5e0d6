"""What a module finds: claims with their verdicts, tables and figures, as plain values that go into one JSON file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.paper.verdict import Rule, Verdict

Unit = Literal["share", "points", "steps", "seconds", "ratio", "number"]  # points: a difference of shares


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, what it reported, and the rule by which it is judged here."""

    key: str  # unique in its module
    says: str  # one sentence
    paper: str  # what the paper reports: "+37 points", "73/80"
    rule: Rule
    second_hand: bool = False  # known only from summaries by others


@dataclass(frozen=True)
class Quantity:
    """A number with its 95 % interval. `count` is of trials, of scenes or of episodes, as `of` says."""

    value: float
    low: float
    high: float
    unit: Unit
    count: int
    of: str = "trials"
    runs: int = 1  # training seeds
    successes: int | None = None  # of `count` trials, where it is a rate


@dataclass(frozen=True)
class Outcome:
    """What came out of a claim. `rising`: arms that still rose at the end of their training, whatever they are named.

    While an arm still rises a comparison says nothing about where it would end, so its verdict is *inconclusive*.
    """

    claim: Claim
    here: Quantity
    rising: tuple[str, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """By the claim's rule."""
        return Verdict.INCONCLUSIVE if self.rising else self.claim.rule(self.here.low, self.here.high)


Entry = Quantity | str | int | None  # of a table; None: not known


@dataclass(frozen=True)
class Table:
    """A table; every row has as many entries as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Entry, ...]]


@dataclass(frozen=True)
class Series:
    """One line, or one cloud of points, of a figure."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()  # of the 95 % intervals; empty: none
    high: Sequence[float] = ()
    arm: str = ""  # "rl", "teleoperator" or "specialist": gives it the colour that it has everywhere


@dataclass(frozen=True)
class Figure:
    """A figure: lines with intervals, points with intervals over named places on the x axis, or a square of points."""

    key: str  # of its files
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    style: Literal["lines", "points", "square"] = "lines"
    x_names: tuple[str, ...] = ()  # of "points": names of x = 0, 1, ...
    x_log: bool = False
    share: bool = False  # whether y is a share, drawn from 0 to 100 %


@dataclass(frozen=True)
class Findings:
    """All that a module has found."""

    outcomes: Sequence[Outcome]
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()  # sentences that a reader needs beside the numbers
