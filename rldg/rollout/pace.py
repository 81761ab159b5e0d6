"""`Pace`: holds a simulated rollout to real time, for people who watch or label it."""

import time

from rldg.env.types import Observation
from rldg.rollout.loop import Subscriber, Transition
from rldg.tasks.task import Task


class Pace(Subscriber):
    """Waits out the rest of each control period; a robot or a person's device, which keeps time itself, loses none.

    Args:
        rate: control steps per second.
    """

    def __init__(self, rate: float) -> None:
        self._period = 1 / rate

    def begin(self, observation: Observation) -> None:
        """The first step begins now."""
        self._due = time.monotonic() + self._period

    def step(self, transition: Transition) -> None:
        """Returns when the next step is due; one that took longer is not made up for."""
        now = time.monotonic()
        time.sleep(max(0.0, self._due - now))
        self._due = max(self._due, now) + self._period


def pace_of(task: Task) -> tuple[Pace, ...]:
    """What holds a rollout of `task` to real time if an operator judges it, who has to see what happens."""
    return (Pace(task.rate),) if task.judged_by_person else ()
