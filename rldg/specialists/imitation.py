"""Imitation beside the values: what was demonstrated draws the agent to it.

Prior data are the first half of every batch (`Replay.sample`). Of these, the arm imitates what the critics hold to be
better than what it would do itself (Nair et al. 2018, "Overcoming exploration in reinforcement learning with
demonstrations"), so that it may outgrow its demonstrators. The gripper, of which nothing is explored, is imitated by a
margin (Hester et al. 2018, DQfD): as long as it is kept, the values alone decide.
"""

from typing import Any

import jax.numpy as jnp

from rldg.specialists import grasp

MARGIN = 0.05  # by which what was demonstrated should be worth more than the other choices


def of_motion(mean: Any, shown: Any, better: Any) -> Any:
    """Mean squared distance of the most likely motion from the one shown, where that is better.

    Args:
        mean: of the Gaussian before its tanh, (batch, m).
        shown: the demonstrated motion, (batch, m).
        better: whether the critics prefer it, (batch,).
    """
    return (better * ((jnp.tanh(mean) - shown) ** 2).sum(-1)).mean()


def of_choice(values: Any, shown: Any) -> Any:
    """By how much the values (batch, 3) of what was shown (batch,) fail to lead all others by `MARGIN`, on average."""
    others = jnp.where(jnp.arange(grasp.CHOICES) == shown[:, None], values, values + MARGIN)
    return (others.max(axis=1) - grasp.of_choice(values, shown)).mean()
