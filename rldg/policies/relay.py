"""`Relay`: one policy grasps and carries, another inserts."""

from dataclasses import asdict, replace

import numpy as np

from rldg.env.types import ACTION_DIMENSION, ActionContract, KnownPoses, Observation
from rldg.errors import ContractError
from rldg.policies.base import Policy, Verdict
from rldg.tasks.task import Task

HELD = 0.02  # metres between tool and grasp frame within which an object is in the hand
BEFORE = 0.004  # metres over the mouth of what something goes into at which it is still outside
BESIDE = 0.03  # metres beside the target from which the second policy knows its way


class Relay(Policy):
    """`first` acts until what it grasped is held over its target; from there on `second` does.

    `second` may be one of a task that holds its object from the beginning, such as the specialist of `fmb_insertion`
    in `fmb_assembly`: it is then told where the *object* is relative to its target, as if that were the tool, acts in
    steps of its own size, and the gripper stays closed. The kind names both; weights are those of both.
    """

    def __init__(self, first: Policy, second: Policy) -> None:
        self.first, self.second = first, second
        self.real_time = first.real_time or second.real_time
        said = second.metadata
        hashes = "+".join(filter(None, (first.metadata.weight_hash, said.weight_hash)))
        sizes = first.metadata.image_sizes | said.image_sizes
        self.metadata = replace(
            said,
            kind=f"{first.metadata.kind}:then={said.kind}",
            action_contract=None,  # it adapts; `reset` checks
            image_sizes=sizes,
            weight_hash=hashes,
        )

    @property
    def verdict(self) -> Verdict | None:
        """What a person among the two says of the episode."""
        return self.first.verdict or self.second.verdict

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode, with the first policy. Raises `ContractError` where there is nothing to hand over."""
        if task.gripper != "binary" or task.sim is None:
            raise ContractError(f"'{task.name}' grasps nothing in simulation, so there is no moment to hand over.")
        self._contract = ActionContract.of(task)
        own = self.second.metadata.action_contract or self._contract
        alike = replace(self._contract, gripper=own.gripper, translation_scale=own.translation_scale)
        if own != alike:
            raise ContractError(f"The second policy acts by {asdict(own)}, '{task.name}' by {asdict(self._contract)}.")
        self._own, self._adapts = own, own.gripper == "fixed"
        self._over = -(task.sim.geometry.entry + BEFORE)
        self._handed = False
        self.first.reset(task, instruction, seed)
        self.second.reset(task, instruction, seed)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7), of whoever is in charge."""
        self._handed = self._handed or self._is_over_target(observation)
        if not self._handed:
            return self.first.act(observation)[:1]
        if not self._adapts:
            return self.second.act(observation)[:1]
        privileged = observation["privileged"]
        seen = observation | {"privileged": KnownPoses(privileged | {"tcp_in_target": privileged["object_in_target"]})}
        action = self._own.to_metric(self.second.act(seen)[:1])
        action[:, ACTION_DIMENSION - 1] = 0  # closed
        return self._contract.to_normalized(action)

    def _is_over_target(self, observation: Observation) -> bool:
        held = np.linalg.norm(observation["privileged"]["object_in_tcp"][:3]) < HELD
        x, y, z = observation["privileged"]["object_in_target"][:3].tolist()
        return bool(held and z < self._over and np.hypot(x, y) < BESIDE)

    def session(self) -> "Relay":
        """Both in an episode of their own."""
        return Relay(self.first.session(), self.second.session())

    def warm_up(self, sessions: int = 1) -> None:
        """Warms both up."""
        self.first.warm_up(sessions)
        self.second.warm_up(sessions)

    def close(self) -> None:
        """Lets go of what the two hold."""
        self.first.close()
        self.second.close()
