"""`Check`: what every check over episodes is made of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rldg.data.example import Field
from rldg.data.validation.expected import EXPECTED
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import Subject

Evidence = Any
Look = Callable[[Subject], Evidence]
Judge = Callable[[Sequence[tuple[Place, Evidence]]], Iterable[Finding]]


class Skip(Exception):
    """Raised by a check that cannot look at this data set."""


@dataclass(frozen=True)
class Check:
    """Looks at each episode in turn.

    Without `judge`, `look` gives an episode's findings. With it, `look` gives what is to be remembered of an episode
    (small, for there may be many), and `judge` the findings of the whole set, all splits together.
    """

    name: str
    look: Look
    judge: Judge | None = None
    needs: tuple[str, ...] = ()  # columns, in the kind and shape that our own data sets give them

    def lacks(self, fields: Mapping[str, Field]) -> str:
        """Why this check cannot look at a data set with these fields; empty if it can."""
        for name in self.needs:
            if name not in fields:
                return f"there is no column '{name}'"
            found, expected = fields[name], EXPECTED.get(name)
            if expected and (found.kind, found.shape) != (expected.kind, expected.shape):
                return f"'{name}' is a {found.kind} of shape {found.shape}, not a {expected.kind} of {expected.shape}"
        return ""
