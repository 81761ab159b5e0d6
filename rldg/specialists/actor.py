"""What the actor does: demonstrations, exploration, and trials of candidates.

What comes out depends on the arguments alone: every episode is finished, and seeded from its number. So a training is
reproducible, and a resumed one repeats the round that was in the air.
"""

import numpy as np

from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract
from rldg.policies.teleoperator import Teleoperator
from rldg.rollout import Episode, rollout
from rldg.specialists.arrays import Arrays, prefixed
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.networks import Layers
from rldg.specialists.policy import SpecialistPolicy
from rldg.specialists.replay import joined, transitions
from rldg.specialists.spec import AgentSpec

DEMONSTRATION, EXPLORATION, TRIAL = range(3)  # streams of scene seeds
MOST_FAILED_DEMONSTRATIONS = 10  # per success, before it is given up
TRANSITIONS = "transitions."  # prefix of an answer's transitions


def scene_seed(run_seed: int, stream: int, index: int) -> int:
    """Seed of episode `index` of a stream: nearly certainly shared with no other episode or evaluation."""
    return int(np.random.SeedSequence([run_seed, stream, index]).generate_state(1, np.uint64)[0] >> 1)


def demonstrate(env: RobotEnv, config: SpecialistConfig, seed: int) -> Arrays:
    """`config.demonstrations` successful episodes of the simulated teleoperator, with their transitions."""
    spec = AgentSpec.of(config, env.task)
    policy, episodes = Teleoperator(), []
    for index in range(config.demonstrations * (1 + MOST_FAILED_DEMONSTRATIONS)):
        episode = rollout(env, policy, scene_seed(seed, DEMONSTRATION, index))
        if episode.success:
            episodes.append(episode)
        if len(episodes) == config.demonstrations:
            break
    return _transitions(episodes, spec) | {"lengths": np.array([len(e) for e in episodes])}


def explore(env: RobotEnv, config: SpecialistConfig, seed: int, actor: Layers, first: int) -> Arrays:
    """Whole episodes, numbered from `first`, of the stochastic policy until `round_steps` steps are there."""
    spec = AgentSpec.of(config, env.task)
    policy = SpecialistPolicy(actor, spec, ActionContract.of(env.task), stochastic=True)
    episodes: list[Episode] = []
    while sum(map(len, episodes)) < config.round_steps:
        episodes.append(rollout(env, policy, scene_seed(seed, EXPLORATION, first + len(episodes))))
    return _transitions(episodes, spec) | {
        "lengths": np.array([len(e) for e in episodes]),
        "successes": np.array([e.success for e in episodes]),
    }


def try_candidate(env: RobotEnv, config: SpecialistConfig, seed: int, actor: Layers, first: int, most: int) -> Arrays:
    """Deterministic episodes, numbered from `first`, until one fails or `most` have succeeded."""
    policy = SpecialistPolicy(actor, AgentSpec.of(config, env.task), ActionContract.of(env.task))
    lengths: list[int] = []
    tried = 0
    while tried < most:
        episode = rollout(env, policy, scene_seed(seed, TRIAL, first + tried))
        tried += 1
        if not episode.success:
            break
        lengths.append(len(episode))
    return {"tried": np.array(tried), "success_lengths": np.array(lengths, np.int64)}


def _transitions(episodes: list[Episode], spec: AgentSpec) -> Arrays:
    return prefixed(TRANSITIONS, joined([transitions(episode, spec) for episode in episodes]))
