"""`OctoPolicy`: a trained Octo as a policy."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.env.types import ActionContract, Observation
from rldg.errors import CheckpointError
from rldg.generalists.octo.checkpoint import Checkpoint, load_checkpoint
from rldg.generalists.octo.heads import Draws, sample_draws
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.runtime import prepare_jax
from rldg.generalists.octo.tokenizer import text_tokenizer
from rldg.policies.base import Policy, PolicyMetadata
from rldg.tasks.task import Task


class OctoPolicy(Policy):
    """Acts from the camera images and the instruction alone.

    Deterministic unless `stochastic`: the denoising then follows its mean path from zero, instead of drawing noise.
    """

    def __init__(self, checkpoint: Checkpoint, *, statistics_key: str = "", stochastic: bool = False) -> None:
        key = statistics_key or next(iter(checkpoint.statistics), "")
        if key not in checkpoint.statistics:
            raise CheckpointError(
                f"The checkpoint has no statistics of '{key}'; it has {sorted(checkpoint.statistics)}."
            )
        self.stochastic = stochastic
        self.metadata = PolicyMetadata(
            kind="octo",
            action_contract=checkpoint.action_contract,
            image_sizes=dict(checkpoint.image_sizes),
            statistics_key=key,
            weight_hash=checkpoint.weight_hash,
            checkpoint_step=checkpoint.step,
            stochastic=stochastic,
        )
        self._model = checkpoint.model
        self._params = jax.device_put(checkpoint.params)
        self._statistics = Normalisation.of(checkpoint.statistics[key])
        self._contract = checkpoint.action_contract
        self._tokenizer = text_tokenizer(checkpoint.model.language, checkpoint.folder)
        self._sample = jax.jit(self._denoised)
        self._tokens: dict[str, np.ndarray] = {}
        self._generator = np.random.default_rng(0)

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; the noise of a stochastic policy descends from `seed`."""
        self._contract = self.metadata.action_contract or ActionContract.of(task)
        self._instruct(instruction, seed)

    def _instruct(self, instruction: str, seed: int) -> None:
        self._tokens = self._tokenizer([instruction])
        self._generator = np.random.default_rng([seed, 3])  # not the stream that draws the scene

    def act(self, observation: Observation) -> np.ndarray:
        """Normalised actions (action_horizon, 7)."""
        assert self._contract is not None, "reset() comes first"
        return self._contract.to_normalized(self.metric_actions(observation["images"]))

    def predict(self, images: dict[str, np.ndarray], instruction: str, seed: int | None = None) -> np.ndarray:
        """Metric actions (action_horizon, 7) for single frames, by camera; sampled if a seed is given."""
        self._instruct(instruction, seed or 0)
        return self.metric_actions(images, stochastic=seed is not None)

    def metric_actions(self, images: dict[str, np.ndarray], stochastic: bool | None = None) -> np.ndarray:
        """Actions in the data set's units, for the instruction of the last `reset`."""
        frames = {f"image_{i.name}": image_transform(i)(images[i.camera])[None, None] for i in self._model.images}
        drawn = self.stochastic if stochastic is None else stochastic
        draws = sample_draws(self._model.head, (1, 1), self._generator if drawn else None)
        normalised = self._sample(self._params, frames, self._tokens, draws)
        return self._statistics.restore(np.asarray(normalised))

    def _denoised(self, params: Any, frames: Any, tokens: Any, draws: Draws) -> jax.Array:
        task = {"language_instruction": jax.tree.map(jnp.asarray, tokens)}
        module = OctoModule(self._model)
        actions: Any = module.apply({"params": params}, frames, task, draws, method="sample")
        return actions[0]


def load_octo(
    folder: Path, step: int | None = None, *, statistics_key: str = "", stochastic: bool = False
) -> OctoPolicy:
    """The policy in a run or checkpoint folder, of the last step by default.

    Raises `CheckpointError` if the folder holds no such checkpoint.
    """
    prepare_jax()
    return OctoPolicy(load_checkpoint(folder, step), statistics_key=statistics_key, stochastic=stochastic)
