"""The person in the loop: how much they intervened, how that develops, and when to do less."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from rldg.specialists.arrays import Arrays

WINDOW = 10  # rounds that the trend looks back on, twice
LONG_SECONDS = 3.0  # mean length above which an intervention does the task instead of correcting it
ALONE_SHARE = 0.8  # of recent episodes that succeed without help, from which to taper
EVER = 0.02  # share of steps below which an operator hardly intervenes
LEAST_EPISODES = 10  # before anything is advised
RISE = 0.1  # of the share of intervened steps over the window that calls for other corrections


def intervals(intervened: np.ndarray) -> list[int]:
    """Lengths of the interventions in an episode, from its steps (T,) bool."""
    return [len(list(run)) for taken_over, run in groupby(intervened.tolist()) if taken_over]


class OperatorStatistics:
    """Share, length and trend of interventions, by round and over the last rounds and episodes."""

    def __init__(self, rate: float, arrays: Arrays | None = None) -> None:
        """For a task at `rate` Hz; `arrays` continue what `arrays()` gave."""
        self._rate = rate
        empty = {"shares": np.empty(0), "alone": np.empty(0), "lengths": np.empty(0)}
        self._history = {name: column.tolist() for name, column in (arrays or empty).items()}

    def arrays(self) -> Arrays:
        """For a checkpoint."""
        return {name: np.array(column, np.float64) for name, column in self._history.items()}

    def record(self, explored: Arrays) -> dict[str, float]:
        """Takes in a round's exploration; returns its metrics.

        `intervention_share` of the steps, `interventions` begun, their mean `intervention_steps`,
        `intervention_trend` (difference of the share between the last `WINDOW` rounds and those before) and
        `success_alone` (share of the recent episodes that succeeded without any help).
        """
        begun, steps = int(explored["interventions"].sum()), int(explored["intervened"].sum())
        share = steps / int(explored["lengths"].sum())
        history = self._history
        history["shares"] = [*history["shares"], share][-2 * WINDOW :]
        alone = explored["successes"] & (explored["interventions"] == 0)
        history["alone"] = [*history["alone"], *alone.astype(float).tolist()][-2 * LEAST_EPISODES :]
        if begun:
            history["lengths"] = [*history["lengths"], steps / begun][-WINDOW:]
        return {
            "intervention_share": share,
            "interventions": begun,
            "intervention_steps": steps / begun if begun else 0.0,
            "intervention_trend": self._trend(),
            "success_alone": float(np.mean(history["alone"])),
        }

    def advice(self) -> str:
        """One sentence to the operator; empty while there is nothing to say."""
        alone, shares, lengths = (self._history[name] for name in ("alone", "shares", "lengths"))
        if len(alone) < LEAST_EPISODES or np.mean(shares[-WINDOW:]) < EVER:
            return ""
        if np.mean(alone) >= ALONE_SHARE:
            return (
                f"The policy succeeds alone in {np.mean(alone):.0%} of its episodes: taper off, help only when stuck."
            )
        if lengths and np.mean(lengths) > LONG_SECONDS * self._rate:
            return (
                f"Interventions last {np.mean(lengths) / self._rate:.1f} s on average: correct briefly and hand back, "
                f"since long ones that end in success teach values that the policy cannot live up to."
            )
        if self._trend() > RISE:
            return (
                f"Interventions take {self._trend():.0%} more of the steps than {WINDOW} rounds ago: let it explore "
                f"for 2 or 3 s first, and correct the same mistake the same way."
            )
        return ""

    def _trend(self) -> float:
        shares: Sequence[float] = self._history["shares"]
        before, after = shares[:-WINDOW], shares[-WINDOW:]
        return float(np.mean(after) - np.mean(before)) if before else 0.0
