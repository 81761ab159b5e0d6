"""Generalised advantage estimation (Schulman et al. 2016)."""

import numpy as np


def advantages(
    reward: np.ndarray,
    value: np.ndarray,
    next_value: np.ndarray,
    terminal: np.ndarray,
    ends: np.ndarray,
    discount: float,
    trace: float,
) -> np.ndarray:
    """Advantages, float32, of steps in order along the first axis; further axes are independent of each other.

    Args:
        reward: of each step.
        value: estimated before it.
        next_value: estimated of what followed it, also where an episode was cut off there.
        terminal: bool, whether the episode ended by itself: what followed is then worth nothing. A time-out is no such
            end.
        ends: bool, whether the next row is another episode, or none.
        discount: of a reward one step later.
        trace: lambda, how far errors of later steps count.
    """
    error = reward + discount * next_value * ~terminal - value
    found = np.zeros_like(error, np.float32)
    following = np.zeros_like(error[0])
    for row in reversed(range(len(error))):
        following = error[row] + discount * trace * following * ~ends[row]
        found[row] = following
    return found
