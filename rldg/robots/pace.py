"""`Pace`: control steps at a fixed rate, without drift."""

import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """How evenly control steps followed each other: deviation of their intervals from the period, in milliseconds."""

    steps: int
    median_ms: float
    p99_ms: float
    most_ms: float
    overruns: int  # steps that took longer than a period, so that the next began late


class Pace:
    """Waits for the end of each control period, counted from one beginning, so that errors do not add up.

    Args:
        period: seconds of a control period.
        speed: how much faster than real time a simulated station's clock is; 0: it waits for commands, so does nobody.
    """

    def __init__(self, period: float, speed: float = 1.0) -> None:
        self.period, self._speed = period, speed
        self._intervals: list[float] = []
        self._overruns, self._ticks = 0, 0
        self.start()

    def start(self) -> None:
        """A first period begins now."""
        self._due = time.monotonic()
        self._marked: float | None = None

    def now(self) -> float:
        """Seconds by the station's clock, from some beginning."""
        return time.monotonic() * self._speed if self._speed else self._ticks * self.period

    def mark(self) -> None:
        """Notes that a command goes out now; the intervals between marks are what `timing` tells of.

        A clock that waits for commands has none.
        """
        if not self._speed:
            return
        now = time.monotonic()
        if self._marked is not None:
            self._intervals.append(now - self._marked)
        self._marked = now

    def wait(self) -> None:
        """Waits until the period is over; a period that was overrun ends at once, and the next begins then."""
        self._ticks += 1
        if not self._speed:
            return
        self._due += self.period / self._speed
        late = time.monotonic() - self._due
        if late > 0:
            self._overruns += 1
            self._due += late
        else:
            time.sleep(-late)

    def timing(self) -> Timing:
        """Of all steps so far."""
        expected = self.period / self._speed if self._speed else 0.0
        off = 1000 * np.abs(np.array(self._intervals or [expected]) - expected)
        return Timing(
            len(self._intervals),
            round(float(np.median(off)), 3),
            round(float(np.percentile(off, 99)), 3),
            round(float(off.max()), 3),
            self._overruns,
        )
