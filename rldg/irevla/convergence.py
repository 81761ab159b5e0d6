"""When the reinforcement learning of a task has come to its end."""

import numpy as np

from rldg.irevla.config import Convergence


def end(successes: np.ndarray, config: Convergence) -> str:
    """Why stage 1 ends after iterations with these shares of successes (n,); empty if it goes on.

    The mean over the last `window` iterations has reached `success`; or no such mean of the last `patience` iterations
    lies `rise` above the best one before; or the budget is spent. A task at which nothing has succeeded so far is given
    up by the same rule: under a reward that is never seen there is nothing to learn from.
    """
    if len(successes) >= config.window:
        means = np.convolve(successes, np.full(config.window, 1 / config.window), "valid")
        if means[-1] >= config.success - 1e-9:
            return "success"
        if len(means) > config.patience and means[-config.patience :].max() < (
            means[: -config.patience].max() + config.rise
        ):
            return "no rise"
    return "budget" if len(successes) >= config.iterations else ""
