"""Octo as a trunk: its readout tokens are the latents, its token learner is the head."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.env.types import Observation
from rldg.errors import CheckpointError
from rldg.generalists.octo.checkpoint import CONFIG, EXAMPLE, STATISTICS, load_checkpoint, save_params
from rldg.generalists.octo.config import TokenLearnerConfig
from rldg.generalists.octo.inputs import Inputs
from rldg.generalists.octo.model import OctoModule
from rldg.stage import write_durably

KEPT = (CONFIG, EXAMPLE, STATISTICS)


class OctoTrunk:
    """See `rldg.irevla.trunk.Trunk`; `source` is the folder of a run or checkpoint.

    Raises `CheckpointError` if its head is no token learner, or it looks back in time.
    """

    def __init__(self, source: Path) -> None:
        checkpoint = load_checkpoint(source)
        if not isinstance(checkpoint.model.head, TokenLearnerConfig) or checkpoint.model.window != 1:
            raise CheckpointError(
                f"{source} holds an Octo with a {checkpoint.model.head.kind} head and a window of "
                f"{checkpoint.model.window}; iRe-VLA needs a token_learner head and a window of 1."
            )
        if checkpoint.action_contract is None:
            raise CheckpointError(f"{source} does not say what its actions mean.")
        self.model, self.head_config = checkpoint.model, checkpoint.model.head
        self.latent_size = self.model.readouts * self.model.width
        statistics = next(iter(checkpoint.statistics.values()))
        self.statistics, self.contract = Normalisation.of(statistics), checkpoint.action_contract
        self.weight_hash = checkpoint.weight_hash
        self._folder, self._inputs = checkpoint.folder, Inputs(checkpoint, statistics)
        self.image_sizes = self._inputs.image_sizes
        self.params: Any = jax.tree.map(np.asarray, checkpoint.params)
        self.head = self.params["heads_action"]
        self._device = jax.device_put(self.params["octo_transformer"])
        self._module = OctoModule(self.model)
        self._readout = jax.jit(self._tokens)
        self.task: Any = {}

    def begin(self, instruction: str) -> None:
        """Takes the instruction that holds from now on."""
        self.task = jax.tree.map(np.asarray, self._inputs.task(instruction))

    def frame(self, observation: Observation) -> dict[str, np.ndarray]:
        """What of an observation the model reads, each entry (1, ...): a window of one step."""
        found = self._inputs.frame(observation["images"], self._inputs.proprio(observation["state"]))
        found["timestep_pad_mask"] = np.array(True)
        return {name: value[None] for name, value in found.items()}

    def latents(self, frames: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
        """The readout tokens for each frame, float32 (n, m, D)."""
        stacked = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
        return np.asarray(self._readout(self._device, stacked, self.task))

    def _tokens(self, params: Any, observation: Any, task: Any) -> jax.Array:
        count = len(observation["timestep_pad_mask"])
        told = jax.tree.map(lambda leaf: jax.numpy.broadcast_to(leaf, (count, *leaf.shape[1:])), task)
        group: Any = self._module.apply({"params": {"octo_transformer": params}}, observation, told, method="readout")
        return group.tokens[:, -1].astype(np.float32)

    def save(self, folder: Path, head: Any, step: int, trunk: Any = None) -> None:
        """Writes the model with another head, and perhaps another trunk, as an Octo's checkpoint."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            write_durably(folder / name, (self._folder / name).read_bytes())
        if (self._folder / "tokenizer").is_dir():
            shutil.copytree(self._folder / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
        params = self.params | {"heads_action": head} | ({} if trunk is None else {"octo_transformer": trunk})
        save_params(folder, step, jax.tree.map(np.asarray, params))
