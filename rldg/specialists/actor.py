"""What the actor does: demonstrations, exploration, and trials of candidates.

What comes out depends on the arguments alone: every episode is finished, and seeded from its number. So a training is
reproducible, and a resumed one repeats the round that was in the air.
"""

import numpy as np

from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract
from rldg.policies.teleoperator import Teleoperator
from rldg.rollout import Episode, rollout
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import Layers
from rldg.specialists.policy import SpecialistPolicy
from rldg.specialists.replay import transitions
from rldg.tasks.task import Task

DEMONSTRATION, EXPLORATION, TRIAL = range(3)  # streams of scene seeds
MOST_FAILED_DEMONSTRATIONS = 10  # per success, before it is given up

Arrays = dict[str, np.ndarray]


def scene_seed(run_seed: int, stream: int, index: int) -> int:
    """Seed of episode `index` of a stream: nearly certainly shared with no other episode or evaluation."""
    return int(np.random.SeedSequence([run_seed, stream, index]).generate_state(1, np.uint64)[0] >> 1)


def action_dimension(task: Task) -> int:
    """Numbers that the actor emits: a twist, and a gripper command where the gripper moves."""
    return 6 if task.gripper == "fixed" else 7


def demonstrate(env: RobotEnv, config: SpecialistConfig, seed: int) -> Arrays:
    """`config.demonstrations` successful episodes of the simulated teleoperator, as transition rows."""
    policy, episodes = Teleoperator(), []
    for index in range(config.demonstrations * (1 + MOST_FAILED_DEMONSTRATIONS)):
        episode = rollout(env, policy, scene_seed(seed, DEMONSTRATION, index))
        if episode.success:
            episodes.append(episode)
        if len(episodes) == config.demonstrations:
            break
    return {"rows": _rows(episodes, env.task, config), "lengths": np.array([len(e) for e in episodes])}


def explore(env: RobotEnv, config: SpecialistConfig, seed: int, actor: Layers, first: int) -> Arrays:
    """Whole episodes, numbered from `first`, of the stochastic policy until `round_steps` steps are there."""
    policy = SpecialistPolicy(actor, ActionContract.of(env.task), observe_force=config.observe_force, stochastic=True)
    episodes: list[Episode] = []
    while sum(map(len, episodes)) < config.round_steps:
        episodes.append(rollout(env, policy, scene_seed(seed, EXPLORATION, first + len(episodes))))
    return {
        "rows": _rows(episodes, env.task, config),
        "lengths": np.array([len(e) for e in episodes]),
        "successes": np.array([e.success for e in episodes]),
    }


def try_candidate(env: RobotEnv, config: SpecialistConfig, seed: int, actor: Layers, first: int, most: int) -> Arrays:
    """Deterministic episodes, numbered from `first`, until one fails or `most` have succeeded."""
    policy = SpecialistPolicy(actor, ActionContract.of(env.task), observe_force=config.observe_force)
    lengths: list[int] = []
    tried = 0
    while tried < most:
        episode = rollout(env, policy, scene_seed(seed, TRIAL, first + tried))
        tried += 1
        if not episode.success:
            break
        lengths.append(len(episode))
    return {"tried": np.array(tried), "success_lengths": np.array(lengths, np.int64)}


def _rows(episodes: list[Episode], task: Task, config: SpecialistConfig) -> np.ndarray:
    return np.concatenate([transitions(e, action_dimension(task), config.observe_force) for e in episodes])
