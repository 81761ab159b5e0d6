"""`OctoPolicy`: a trained Octo as a policy."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.env.types import ActionContract, Observation
from rldg.errors import CheckpointError
from rldg.generalists.chunks import ChunkExecution, RecedingHorizon
from rldg.generalists.octo.checkpoint import Checkpoint, load_checkpoint
from rldg.generalists.octo.heads import Draws, joined_draws, sample_draws
from rldg.generalists.octo.history import History
from rldg.generalists.octo.inputs import Images, Inputs
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.runtime import prepare_jax
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.merged import Merged
from rldg.tasks.task import Task

_SMALL = 2**24  # bytes of weights

Ask = tuple[dict[str, Any], dict[str, Any], Draws]  # observation, task, draws, each of a batch of one


class OctoPolicy(Policy):
    """Acts from the camera images, the instruction and, where the model reads it, the state.

    Deterministic unless `stochastic`: the denoising then follows its mean path from zero, instead of drawing noise.
    The model is compiled once; a T5 reads an instruction when the episode begins, not at every step.

    Args:
        checkpoint: model, weights, statistics and what they were made for.
        statistics_key: of the data set by whose statistics to un-normalise; the first one by default.
        stochastic: whether to sample.
        execution: how chunks of actions are carried out; the whole chunk by default.
        cameras: slot of the model ("primary", "wrist") -> camera of the task that fills it, where the checkpoint's own
            choice does not fit.

    Raises:
        CheckpointError: there are no such statistics.
        UnknownNameError: the model has no such slot.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        statistics_key: str = "",
        stochastic: bool = False,
        execution: ChunkExecution | None = None,
        cameras: Mapping[str, str] | None = None,
    ) -> None:
        key = statistics_key or next(iter(checkpoint.statistics), "")
        if key not in checkpoint.statistics:
            raise CheckpointError(
                f"The checkpoint has no statistics of '{key}'; it has {sorted(checkpoint.statistics)}."
            )
        statistics, model = checkpoint.statistics[key], checkpoint.model
        self._inputs = Inputs(checkpoint, statistics, cameras)
        self.stochastic = stochastic
        self.metadata = PolicyMetadata(
            kind="octo",
            action_contract=checkpoint.action_contract,
            image_sizes=self._inputs.image_sizes,
            statistics_key=key,
            weight_hash=checkpoint.weight_hash,
            checkpoint_step=checkpoint.step,
            stochastic=stochastic,
        )
        self._model = model
        self._contract = checkpoint.action_contract
        self._statistics = Normalisation.of(statistics)
        self._execution = execution or RecedingHorizon()
        self._history = History(model.window)
        self._params = jax.device_put(_without_t5(checkpoint.params))
        # With statistics of fewer dimensions than the model has, the last ones were padding in training.
        dimensions = len(self._statistics.mask)
        self._valid = np.arange(model.head.action_dim) < dimensions
        self._module = OctoModule(model)
        self._sample = jax.jit(self._sampled)
        self._chunk = Merged(self._chunks)
        self._task: dict[str, Any] = {}
        self._generator = np.random.default_rng(0)

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; the noise of a stochastic policy descends from `seed`."""
        self._contract = self.metadata.action_contract or ActionContract.of(task)
        self._history.reset()
        self._execution.reset()
        self._begin(instruction, None, seed)

    def session(self) -> "OctoPolicy":
        """The same model in an episode of its own; chunks that sessions ask for at the same time are one batch."""
        other = copy.copy(self)
        other._history, other._execution = History(self._model.window), copy.deepcopy(self._execution)
        return other

    def warm_up(self, sessions: int = 1) -> None:
        """Compiles the model for every size of batch that so many sessions can make."""
        one, pictures = self.session(), {}
        for camera, size in self.metadata.image_sizes.items():
            pictures[camera] = np.zeros((size or 1, size or 1, 3), np.uint8)
        one._begin("", None, 0)
        one._history.append(self._inputs.frame(pictures, self._inputs.no_proprio))
        ask = (one._history.observation(), one._task, sample_draws(self._model.head, (1, 1), None))
        largest = min(sessions, self._chunk.most)
        for size in {1, *(2**power for power in range(largest.bit_length())), largest}:
            self._chunks([ask] * size)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7), so that the policy sees every observation."""
        assert self._contract is not None, "reset() comes first"
        state = self._inputs.proprio(observation["state"])
        self._history.append(self._inputs.frame(observation["images"], state))
        action = self._execution(lambda: self._actions(self._history.observation(), self.stochastic))
        return self._contract.to_normalized(action)[None]

    def predict(
        self,
        images: Images,
        instruction: str,
        seed: int | None = None,
        *,
        goal: Images | None = None,
        proprio: np.ndarray | None = None,
    ) -> np.ndarray:
        """Actions (action_horizon, A) in the data set's units for one frame; sampled if a seed is given.

        Args:
            images: of every camera that the model sees through, of any size.
            instruction: what to do; may be empty with a goal.
            seed: of the sample; None for the greedy answer.
            goal: images of what is to be reached, by camera.
            proprio: the state in the data set's units; without it the model is shown none.

        Raises:
            UsageError: the state has another size than the data set's, or the model takes no goal.
        """
        self._begin(instruction, goal, seed or 0)
        alone = History(1)
        alone.append(self._inputs.frame(images, proprio))
        return self._actions(alone.observation(), seed is not None)

    def _begin(self, instruction: str, goal: Images | None, seed: int) -> None:
        self._task = self._inputs.task(instruction, goal)
        self._generator = np.random.default_rng([seed, 3])  # not the stream that draws the scene

    def _actions(self, observation: dict[str, Any], stochastic: bool) -> np.ndarray:
        draws = sample_draws(self._model.head, (1, 1), self._generator if stochastic else None)
        return self._statistics.restore(self._chunk((observation, self._task, draws))[:, self._valid])

    def _chunks(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        """Normalised actions (H, A) for each; few sizes of batches, since the model is compiled for each."""
        if len(asks) == 1:
            return list(np.asarray(self._sample(self._params, *asks[0])))
        filled = [*asks, *asks[-1:] * (2 ** (len(asks) - 1).bit_length() - len(asks))]
        observations, tasks, draws = zip(*filled, strict=True)
        batch = jax.tree.map(lambda *leaves: np.concatenate(leaves), *observations)
        told = jax.tree.map(lambda *leaves: np.concatenate(leaves), *tasks)
        return list(np.asarray(self._sample(self._params, batch, told, joined_draws(draws)))[: len(asks)])

    def _sampled(self, params: Any, observation: Any, task: Any, draws: Draws) -> jax.Array:
        valid = None if self._valid.all() else self._valid
        actions: Any = self._module.apply({"params": params}, observation, task, draws, valid, method="sample")
        return actions


def _without_t5(params: Any) -> Any:
    """The weights that act at every step; a T5 has read the instruction before."""
    transformer = dict(params["octo_transformer"])
    tokenizer = dict(transformer.get("task_tokenizers_language", {}))
    if tokenizer.pop("hf_model", None) is not None:
        transformer["task_tokenizers_language"] = tokenizer
    return {**params, "octo_transformer": transformer}


def load_octo(
    source: str | Path,
    step: int | None = None,
    *,
    statistics_key: str = "",
    stochastic: bool = False,
    execution: ChunkExecution | None = None,
    cameras: Mapping[str, str] | None = None,
) -> OctoPolicy:
    """The policy in a run or checkpoint folder or on the hub, of the last step by default.

    Raises `CheckpointError` if there is no such checkpoint, and as `OctoPolicy`.
    """
    prepare_jax(_threads(source))
    checkpoint = load_checkpoint(source, step)
    return OctoPolicy(
        checkpoint, statistics_key=statistics_key, stochastic=stochastic, execution=execution, cameras=cameras
    )


def _threads(source: str | Path) -> int:
    """CPU threads of XLA: one for a small model, which gains nothing from more, else (0) one per core."""
    sizes = [file.stat().st_size for file in Path(source).glob("*/default/checkpoint")]
    return 1 if sizes and max(sizes) < _SMALL else 0
