"""`SpecialistPolicy`: a trained specialist, and its folder."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from rldg.env.types import ActionContract, Observation
from rldg.errors import CheckpointError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.specialists import grasp
from rldg.specialists.arrays import Tree, from_named_arrays, named_arrays, read_arrays, write_arrays
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.frozen import frozen_weights
from rldg.specialists.sight import acting
from rldg.specialists.spec import AgentSpec
from rldg.stage import write_json
from rldg.tasks.task import Task

WEIGHTS, DESCRIPTION = "specialist.npz", "specialist.json"


class SpecialistPolicy(Policy):
    """The mean of the learned squashed Gaussian; with `stochastic`, a sample from it, as in RLDG's own collection.

    One of exact poses needs the privileged part of simulated observations, and acts with NumPy alone. One that sees
    pictures needs nothing privileged.
    """

    def __init__(
        self,
        actor: Tree,
        spec: AgentSpec,
        contract: ActionContract,
        *,
        frozen: Tree | None = None,
        stochastic: bool = False,
        checkpoint_step: int = 0,
    ) -> None:
        self.actor, self.spec, self.frozen = actor, spec, frozen or {}
        self.stochastic = stochastic
        self.metadata = PolicyMetadata(
            kind="specialist",
            action_contract=contract,
            image_sizes=dict(spec.cameras),
            weight_hash=weight_hash({"actor": actor, "frozen": self.frozen}),
            checkpoint_step=checkpoint_step,
            stochastic=stochastic,
        )
        self._decide = acting(spec, actor, self.frozen)
        self._generator = np.random.default_rng(0)

    @classmethod
    def of(cls, config: SpecialistConfig, task: Task, actor: Tree, **options: Any) -> "SpecialistPolicy":
        """The policy of an actor that was trained by `config` on `task`; `options` as above."""
        frozen = frozen_weights(config.encoder, config.encoder_weights)
        return cls(actor, AgentSpec.of(config, task), ActionContract.of(task), frozen=frozen, **options)

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; the samples of a stochastic specialist descend from `seed`."""
        self._generator = np.random.default_rng([seed, 2])  # not the stream that draws the scene

    def act(self, observation: Observation) -> np.ndarray:
        """One action, float32 (1, 7)."""
        mean, log_std, grasp_values = self._decide(self.spec.observe(observation, acting=True))
        if self.stochastic:
            mean = mean + np.exp(log_std) * self._generator.standard_normal(len(mean), dtype=np.float32)
        action = np.full((1, 7), -1, np.float32)  # a fixed gripper stays closed
        action[0, : len(mean)] = np.tanh(mean)
        if grasp_values is not None:
            action[0, 6] = grasp.command(grasp_values)
        return action


def weight_hash(tree: Tree) -> str:
    """First 16 hex digits of the SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(named_arrays(tree).items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def save_specialist(folder: Path, policy: SpecialistPolicy, task: Task) -> None:
    """Writes weights and description, each at once."""
    write_arrays(folder / WEIGHTS, named_arrays({"actor": policy.actor, "frozen": policy.frozen}))
    description: dict[str, Any] = {
        "task": task.name,
        "task_hash": task.hash,
        "action_contract": dataclasses.asdict(policy.metadata.action_contract),  # pyright: ignore[reportArgumentType]
        "agent": dataclasses.asdict(policy.spec),
        "checkpoint_step": policy.metadata.checkpoint_step,
        "weight_hash": policy.metadata.weight_hash,
    }
    write_json(folder / DESCRIPTION, description)


def load_specialist(folder: Path, stochastic: bool = False) -> SpecialistPolicy:
    """The specialist of a finished training run. Raises `CheckpointError` when there is none, or it is damaged."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{folder} holds no finished specialist: {error}. `rldg train TASK --out {folder}` makes one."
        ) from None
    weights = from_named_arrays(read_arrays(folder / WEIGHTS))
    try:
        policy = SpecialistPolicy(
            weights["actor"],
            AgentSpec.from_json(description["agent"]),
            ActionContract(**description["action_contract"]),
            frozen=weights.get("frozen"),
            stochastic=stochastic,
            checkpoint_step=description["checkpoint_step"],
        )
    except (KeyError, TypeError):
        raise CheckpointError(f"{folder / DESCRIPTION} was written by another version; train it again.") from None
    if policy.metadata.weight_hash != description["weight_hash"]:
        raise CheckpointError(f"{folder / WEIGHTS} does not hold the weights that {DESCRIPTION} describes.")
    return policy
