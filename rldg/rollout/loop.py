"""The one control loop: whatever acts, whatever is recorded or evaluated, goes through `rollout`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from rldg.env.base import TaskEnv
from rldg.env.types import ActionContract, Observation, StepInfo, checked_action
from rldg.errors import ContractError
from rldg.policies.base import Policy
from rldg.rollout.episode import Episode, EpisodeMetadata
from rldg.stage import code_version
from rldg.tasks.station import Station
from rldg.tasks.task import Task


@dataclass(frozen=True)
class Transition:
    """One control step, as subscribers see it."""

    index: int
    observation: Observation
    action: np.ndarray  # normalised (7), as the policy emitted it
    next_observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    before: StepInfo
    after: StepInfo
    intervention: bool


class Subscriber:
    """Watches a rollout: a video, a display, a safety monitor. Exceptions it raises end the episode."""

    def begin(self, observation: Observation) -> None:
        """Called once with the first observation."""

    def step(self, transition: Transition) -> None:
        """Called after every control step."""

    def end(self, episode: Episode) -> None:
        """Called once with the finished episode."""


def check_contract(policy: Policy, env: TaskEnv) -> None:
    """Raises `ContractError` when `policy` was made for other actions or pictures than `env` has."""
    wanted, given = ActionContract.of(env.task), policy.metadata.action_contract
    if given is not None and given != wanted:
        raise ContractError(
            f"The policy '{policy.metadata.kind}' acts by {given}, but task '{env.task.name}' takes {wanted}."
        )
    for camera, size in policy.metadata.image_sizes.items():
        if camera not in env.camera_sizes:
            raise ContractError(f"The policy needs camera '{camera}'; the environment has {sorted(env.camera_sizes)}.")
        if size not in (0, env.camera_sizes[camera]):
            raise ContractError(
                f"The policy needs '{camera}' at {size} px; the environment gives {env.camera_sizes[camera]} px."
            )


def rollout(
    env: TaskEnv,
    policy: Policy,
    seed: int,
    *,
    instruction: str = "",
    episode_id: str = "",
    operator: str = "",
    subscribers: Sequence[Subscriber] = (),
) -> Episode:
    """Runs one episode of `policy` in `env`; scene and policy draw from `seed` alone.

    `operator` is who teleoperates or may take over, for the record. An operator's verdict ends the episode, whatever
    the task is judged by.

    Raises `ContractError` before anything moves, `ActionError` if the policy emits something that is not an action, and
    `DiscardedError` if an operator throws the episode away.
    """
    check_contract(policy, env)
    instruction = instruction or env.task.instruction
    observation, info = env.reset(seed=seed)
    before: StepInfo = info["step"]
    policy.reset(env.task, instruction, seed=seed)
    for subscriber in subscribers:
        subscriber.begin(observation)
    transitions: list[Transition] = []
    done = False
    while not done:
        for action in policy.act(observation):
            action = checked_action(action)
            following, reward, terminated, truncated, info = env.step(action)
            after: StepInfo = info["step"]
            if (said := policy.verdict) is not None:
                reward, terminated, truncated = said.success, True, False
                after = replace(after, success=said.success, failure_reason=said.reason)
            transition = Transition(
                len(transitions),
                observation,
                action,
                following,
                float(reward),
                terminated,
                truncated,
                before,
                after,
                policy.intervening,
            )
            transitions.append(transition)
            for subscriber in subscribers:
                subscriber.step(transition)
            observation, before = following, after
            done = terminated or truncated
            if done:
                break
    episode = recorded_episode(env, policy, seed, transitions, instruction, episode_id, operator)
    for subscriber in subscribers:
        subscriber.end(episode)
    return episode


class Place(Protocol):
    """Where an episode took place: an environment, or several of one kind."""

    @property
    def task(self) -> Task:
        """What was to be done."""
        ...

    @property
    def station(self) -> Station:
        """Where."""
        ...

    @property
    def camera_sizes(self) -> dict[str, int]:
        """Camera -> pixels of its square pictures."""
        ...


def recorded_episode(
    env: Place,
    policy: Policy,
    seed: int,
    steps: Sequence[Transition],
    instruction: str = "",
    episode_id: str = "",
    operator: str = "",
) -> Episode:
    """What `rollout` gives back, of the steps that `policy` took from the scene of `seed` to the end of the episode."""
    last = steps[-1]
    metadata = EpisodeMetadata(
        episode_id=episode_id or f"{env.task.name}-{seed}",
        task=env.task.name,
        task_hash=env.task.hash,
        seed=seed,
        success=last.after.success,
        failure_reason=last.after.failure_reason,
        judged_by="operator" if policy.verdict else env.task.success.kind,
        policy_kind=policy.metadata.kind,
        checkpoint_hash=policy.metadata.weight_hash,
        checkpoint_step=policy.metadata.checkpoint_step,
        backend=env.station.backend,
        station=env.station.name,
        code_version=code_version(),
        action_contract=json.dumps(asdict(ActionContract.of(env.task))),
        truth={True: "success", False: "failure", None: ""}[last.after.truth],
        success_rule=env.task.success.model_dump_json(),
        cameras=json.dumps({name: _camera_settings(env, name) for name in env.camera_sizes}),
        stochastic=policy.metadata.stochastic,
        operator=operator,
        penetration=last.after.penetration,
    )
    stacked = {
        group: {name: np.stack([s.observation[group][name] for s in steps]) for name in steps[0].observation[group]}
        for group in ("state", "privileged", "images")
    }
    raw = {name: np.stack([s.before.raw_state[name] for s in steps]) for name in last.before.raw_state}
    return Episode(
        metadata=metadata,
        instruction=instruction or env.task.instruction,
        raw_state=raw,
        **stacked,
        action=np.stack([s.after.action for s in steps]),
        base_action=np.stack([s.after.base_action for s in steps]),
        action_normalized=np.stack([s.action for s in steps]),
        reward=np.array([s.reward for s in steps], np.float32),
        is_terminal=np.array([s.terminated for s in steps]),
        is_intervention=np.array([s.intervention for s in steps]),
        final=last.next_observation,
    )


def _camera_settings(env: Place, name: str) -> dict[str, Any]:
    """What the task and the station say of a camera."""
    mount = env.station.cameras.get(name)
    return env.task.cameras[name].model_dump(mode="json") | (mount.model_dump(mode="json") if mount else {})
