"""`Trunk`: a generalist up to its output tokens. Heads, critics and all of the reinforcement learning stand on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.env.types import ActionContract, Observation
from rldg.generalists.octo.config import TokenLearnerConfig

CONSTANT = 1e-6  # deviation in the expert's data below which a number of an action is taken to do nothing


class Trunk(Protocol):
    """What reinforcement learning needs of a generalist."""

    head_config: TokenLearnerConfig
    latent_size: int  # numbers of a latent, m * D
    head: Any  # weights of the trained action head, as a tree of arrays in the names of `TokenLearnerHead`
    statistics: Normalisation  # of actions
    contract: ActionContract
    image_sizes: dict[str, int]  # camera of the task -> pixels
    weight_hash: str

    def begin(self, instruction: str) -> None:
        """Takes the instruction that holds from now on."""
        ...

    def frame(self, observation: Observation) -> dict[str, np.ndarray]:
        """What of an observation the model reads, brought to its size."""
        ...

    def latents(self, frames: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
        """The output tokens for each frame and the instruction, float32 (n, m, D), without gradient."""
        ...

    def save(self, folder: Path, head: Any, step: int) -> None:
        """Writes the generalist with another head as a checkpoint of its kind."""
        ...


def active(statistics: Normalisation, contract: ActionContract) -> tuple[bool, ...]:
    """Which numbers of an action do something: those that vary in the data, the gripper only if it moves."""
    varies = (statistics.spread > CONSTANT) | ~statistics.mask
    varies[6:] &= contract.gripper != "fixed"
    return tuple(bool(one) for one in varies)
