"""`Pace`: control steps at the task's rate, for people, and a pause for as long as they ask for one."""

import time

from rldg.env.types import Observation
from rldg.errors import RldgError
from rldg.policies.base import Policy
from rldg.rollout.loop import Subscriber, Transition

POLL_SECONDS = 0.02
LONGEST_HOLD = 3600.0  # seconds


class Pace(Subscriber):
    """Waits out the rest of each control step, and while `policy.holds()`, during which nothing moves.

    A simulation, which would be over before a person has seen it, runs at `rate` [Hz]; a robot, which takes its time
    itself, is not slowed down. Raises `RldgError` after a hold of `LONGEST_HOLD` seconds.
    """

    def __init__(self, policy: Policy, rate: float) -> None:
        self._policy, self._period = policy, 1 / rate
        self._due = 0.0

    def begin(self, observation: Observation) -> None:
        """The first step begins now."""
        self._due = time.monotonic() + self._period

    def step(self, transition: Transition) -> None:
        """Returns when the next step is due and nobody holds."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        since = time.monotonic()
        while self._policy.holds():
            if time.monotonic() - since > LONGEST_HOLD:
                raise RldgError(f"The operator held for more than {LONGEST_HOLD / 60:g} min; the same command goes on.")
            time.sleep(POLL_SECONDS)
        self._due = max(self._due, time.monotonic()) + self._period
