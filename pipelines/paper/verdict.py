"""Whether a claim of the paper holds here: rules that are fixed before anything is run, from 95 % intervals alone.

A rule looks at the interval of one number that is written so that the claim speaks about it: a difference of success in
the paper's direction, a ratio of times, a rate. It never looks at the estimate itself, so few trials or seeds that
disagree make a claim *inconclusive*, neither right nor wrong.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What came out of a claim."""

    AGREES = "agrees"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Exceeds:
    """The claim: the number is larger than `bound`.

    *agrees* if the whole interval lies above `bound`, however little; *differs* if it reaches down to `bound` and lies
    below `bound` + `relevant`, so that an effect, if there is one, is smaller than anybody would care for; else
    *inconclusive*.
    """

    bound: float = 0.0
    relevant: float = 0.05  # smallest excess that counts as an effect, in the number's unit

    def __call__(self, low: float, high: float) -> Verdict:
        """The verdict on the interval low .. high."""
        if low > self.bound:
            return Verdict.AGREES
        return Verdict.DIFFERS if high < self.bound + self.relevant else Verdict.INCONCLUSIVE

    def __str__(self) -> str:
        return (
            f"agrees if the whole interval lies above {self.bound:g}, differs if it lies below "
            f"{self.bound + self.relevant:g}"
        )


@dataclass(frozen=True)
class AtLeast:
    """The claim: the number reaches `bound`, such as a rate of success.

    *agrees* if the whole interval reaches it, *differs* if none of it does, else *inconclusive*.
    """

    bound: float

    def __call__(self, low: float, high: float) -> Verdict:
        """The verdict on the interval low .. high."""
        if low >= self.bound:
            return Verdict.AGREES
        return Verdict.DIFFERS if high < self.bound else Verdict.INCONCLUSIVE

    def __str__(self) -> str:
        return f"agrees if the whole interval reaches {self.bound:g}, differs if none of it does"


@dataclass(frozen=True)
class Matches:
    """The claim: there is no difference worth speaking of; the number lies within `margin` of `value`.

    *agrees* if the whole interval lies within the margin (two one-sided tests of equivalence), *differs* if it lies
    wholly outside, else *inconclusive*: that no difference was found does not show that there is none.
    """

    value: float = 0.0
    margin: float = 0.1

    def __call__(self, low: float, high: float) -> Verdict:
        """The verdict on the interval low .. high."""
        if low >= self.value - self.margin and high <= self.value + self.margin:
            return Verdict.AGREES
        outside = low > self.value + self.margin or high < self.value - self.margin
        return Verdict.DIFFERS if outside else Verdict.INCONCLUSIVE

    def __str__(self) -> str:
        return f"agrees if the whole interval lies within {self.margin:g} of {self.value:g}, differs if it lies outside"


Rule = Exceeds | AtLeast | Matches
