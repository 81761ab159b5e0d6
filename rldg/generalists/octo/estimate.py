"""What a training will take of each device's memory, before anything of it is there."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from rldg.generalists.octo.learner import TrainState


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    weights: int
    average: int
    optimizer: int
    gradients: int
    activations: int  # and XLA's other working space

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.average + self.optimizer + self.gradients + self.activations

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_size(value)}" for name, value in vars(self).items() if value)
        return f"expected memory per device: {_size(self.total)} ({parts})"


def expected_memory(state: TrainState, update: jax.stages.Compiled) -> Memory:
    """Of a state (shapes with shardings will do) and the compiled update, which knows its working space."""
    analysis: Any = update.memory_analysis()
    working = analysis.temp_size_in_bytes if analysis else 0  # some back ends do not say
    gradients = _bytes(state.weights)
    return Memory(
        weights=_bytes((state.weights, state.frozen)),
        average=_bytes(state.average),
        optimizer=_bytes(state.optimizer),
        gradients=gradients,
        activations=max(0, working - gradients),
    )


def _bytes(tree: Any) -> int:
    return sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)
    )


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
