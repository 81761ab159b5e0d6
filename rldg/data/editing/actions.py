"""Actions of a policy that did not act: what it would have done in each recorded state.

So states of one source get the actions of another: teleoperated states with a specialist's actions (RLDG, Fig. 7), or a
generalist's own states with what the specialist would do there (DAgger: Ross, Gordon and Bagnell, 2011).
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from rldg import geometry
from rldg.data.editing.source import Place
from rldg.data.example import Columns
from rldg.env.types import ActionContract, KnownPoses, Observation, gripper_command
from rldg.errors import DatasetError, UsageError
from rldg.resolve import load_policy
from rldg.rollout.episode import Episode
from rldg.tasks import load_task


def action_changes(policy: str, stochastic: bool = False) -> tuple[Callable[[Place], Columns], dict[str, Any]]:
    """What is written anew of an episode that `policy` would have acted in, and who that is, for the lineage.

    The policy sees the recorded observations one after the other, as in an episode of its own that went just so; it
    gives its first action on each. Everything random in it descends from the episode's seed.

    Args:
        policy: what `rldg.resolve.load_policy` takes.
        stochastic: whether a specialist samples its actions, as in roll-outs.

    Raises `UsageError` for a person, who cannot act in what is past, and, when a change is asked for:
        DatasetError: the episode was not written by rldg, or its actions have another meaning than the policy's.
        ContractError: the policy needs poses that were not recorded.
    """
    acting = load_policy(policy, stochastic=stochastic)
    said = acting.metadata
    if acting.real_time:
        raise UsageError(f"A person with a {said.kind} cannot act in recorded states; name a policy that can.")

    known_task = cache(load_task)

    @cache
    def change(place: Place) -> Columns:
        episode = place.source.splits[place.split][place.episode].to_episode()
        about, here = episode.metadata, f"Episode {place.episode} of {place.source.folder}"
        if not about.action_contract:
            raise DatasetError(f"{here} does not say what its actions mean, so no other actions can take their place.")
        task, contract = known_task(about.task), ActionContract(**json.loads(about.action_contract))
        for whose, other in ((task.name, ActionContract.of(task)), (said.kind, said.action_contract or contract)):
            if other != contract:
                raise DatasetError(f"{here} was acted by {contract}, but '{whose}' by {other}.")
        if unseen := said.image_sizes.keys() - episode.images.keys():
            raise DatasetError(f"{place.source.folder} lacks pictures of {sorted(unseen)}, which the policy looks at.")
        acting.reset(task, episode.instruction, about.seed)
        normalized = np.stack([acting.act(observation)[0] for observation in _observations(episode)])
        return _columns(normalized, episode.raw_state["tcp_pose"], contract)

    return change, {"kind": said.kind, "weight_hash": said.weight_hash, "stochastic": said.stochastic}


def _observations(episode: Episode) -> Iterator[Observation]:
    groups = {"state": episode.state, "images": episode.images, "privileged": episode.privileged}
    for t in range(len(episode)):
        seen = {group: {name: column[t] for name, column in parts.items()} for group, parts in groups.items()}
        yield seen | {"privileged": KnownPoses(seen["privileged"])}


def _columns(normalized: np.ndarray, poses: np.ndarray, contract: ActionContract) -> Columns:
    """The three columns of actions, as an environment would have recorded them."""
    action = contract.to_metric(normalized)
    told = 1.0
    for step, command in enumerate(normalized[:, 6].tolist()):
        told = gripper_command(command, told)
        action[step, 6] = 0.0 if contract.gripper == "fixed" else told
    turned = [geometry.rotate_twist(pose, twist) for pose, twist in zip(poses, action[:, :6], strict=True)]
    base = np.column_stack([turned, action[:, 6]]).astype(np.float32)
    return {"steps/action": action, "steps/base_action": base, "steps/action_normalized": normalized}
