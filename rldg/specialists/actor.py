"""What an actor does: demonstrations, exploration, and trials of candidates.

What comes out depends on the arguments alone: every episode is finished, and seeded from its number. So a training is
reproducible, and a round that was in the air when something died is repeated to the same effect.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rldg.engines import WorkerError
from rldg.env.robot_env import RobotEnv
from rldg.errors import DiscardedError, RldgError
from rldg.policies.base import Policy
from rldg.resolve import load_policy, under_operator
from rldg.rollout import Episode, rollout
from rldg.rollout.pace import pace_of
from rldg.specialists.arrays import Arrays, Tree, from_named_arrays, pack, part, prefixed, unpack
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.frozen import frozen_weights
from rldg.specialists.operators import intervals
from rldg.specialists.policy import SpecialistPolicy
from rldg.specialists.replay import joined, transitions
from rldg.specialists.rounds import DEMONSTRATE, EXPLORE, KINDS, NUMBERS, ROUND, TRANSITIONS, TRY, Share
from rldg.specialists.spec import AgentSpec
from rldg.stage import code_version
from rldg.tasks import load_station
from rldg.tasks.task import Task

MakeEnv = Callable[[Task], RobotEnv]
DEMONSTRATOR = "teleoperator"
FAULTS = 5  # of the set-up in a row, after which nothing can be learned there


def scene_seed(run_seed: int, kind: str, number: int) -> int:
    """Seed of episode `number` of a kind: nearly certainly shared with no other episode or evaluation."""
    entropy = [run_seed, KINDS.index(kind), number]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def environment(task: Task, cameras: tuple[str, ...] = (), station: str = "sim") -> RobotEnv:
    """The task on the robot of a station (its name, or the path of its YAML), with these cameras."""
    return RobotEnv(task, load_station(station), cameras)


@dataclass
class Actor:
    """`actor(share)` does a share of a round. Picklable: the environment is made on first use, in its process."""

    make_env: MakeEnv
    task: Task
    config: SpecialistConfig
    seed: int
    code: str = field(default_factory=code_version)  # of the learner
    _env: Any = field(default=None, repr=False, compare=False)
    _operated: Any = field(default=None, repr=False, compare=False)  # the exploring policy, and who takes over

    def __getstate__(self) -> dict[str, Any]:
        """Leaves environment and operator behind."""
        return {**self.__dict__, "_env": None, "_operated": None}

    def __call__(self, share: Share) -> bytes:
        """The packed answer. Raises `WorkerError` if this machine has another version of the code than the learner."""
        if self._env is None:
            if (here := code_version()) != self.code:
                raise WorkerError(f"An actor's machine has version {here} of rldg, the learner's {self.code}.")
            self._env = self.make_env(self.task)
        request = unpack(share.content)
        self._hear(request)
        answer = {ROUND: request[ROUND]}
        for kind, act in ((DEMONSTRATE, self._demonstrate), (EXPLORE, self._explore), (TRY, self._try)):
            if len(request[kind]):
                answer |= prefixed(f"{kind}.", act(request))
        return pack(answer)

    def _hear(self, request: Arrays) -> None:
        """Takes in what a request says beside episodes and weights: here, nothing."""

    def _witnessed(self, episode: Episode) -> Arrays:
        """Columns of an episode's transitions beside those that the agent learns from: here, none."""
        return {}

    def _demonstrate(self, request: Arrays) -> Arrays:
        operator = load_policy(self.config.operator or DEMONSTRATOR)
        try:
            return self._columns(request[DEMONSTRATE], self._episodes(DEMONSTRATE, operator, request))
        finally:
            operator.close()

    def _explore(self, request: Arrays) -> Arrays:
        policy: Policy = self._specialist(request, "actor.", stochastic=True)
        if self.config.operator:
            if self._operated is None:  # a person's device stays open from round to round
                self._operated = under_operator(policy, self.config.operator)
            self._operated.base = policy
            policy = self._operated
        return self._columns(request[EXPLORE], self._episodes(EXPLORE, policy, request))

    def _try(self, request: Arrays) -> Arrays:
        """The most likely actions, until one episode fails."""
        tried = []
        for episode in self._episodes(TRY, self._specialist(request, "candidate."), request):
            tried.append(episode)
            if not episode.success:
                break
        return self._counts(request[TRY][: len(tried)], tried)

    def _specialist(self, request: Arrays, weights: str, stochastic: bool = False) -> SpecialistPolicy:
        actor: Tree = from_named_arrays(part(weights, request))
        return SpecialistPolicy.of(self.config, self.task, actor, stochastic=stochastic)

    def _episodes(self, kind: str, policy: Policy, request: Arrays) -> Iterable[Episode]:
        for number in request[kind].tolist():
            yield self._whole(policy, scene_seed(self.seed, kind, number))

    def _whole(self, policy: Policy, seed: int) -> Episode:
        """An episode to learn from: one that the operator discards, or a fault of the set-up ends, is begun again.

        Raises `RldgError` if the set-up keeps failing.
        """
        faults = 0
        while faults < FAULTS:
            with suppress(DiscardedError):
                episode = rollout(self._env, policy, seed, subscribers=pace_of(self.task))
                if not episode.fault:
                    return episode
                faults += 1
        raise RldgError(f"Faults of the set-up ended {FAULTS} episodes in a row; `rldg robot check` looks for them.")

    def _columns(self, numbers: np.ndarray, episodes: Iterable[Episode]) -> Arrays:
        spec = AgentSpec.of(self.config, self.task)
        frozen = frozen_weights(self.config.encoder, self.config.encoder_weights)
        done, steps = [], []
        for episode in episodes:
            done.append(episode)
            steps.append(transitions(episode, spec, frozen) | self._witnessed(episode))
        return self._counts(numbers, done) | prefixed(TRANSITIONS, joined(steps))

    @staticmethod
    def _counts(numbers: np.ndarray, episodes: list[Episode]) -> Arrays:
        return {
            NUMBERS: numbers,
            "lengths": np.array([len(episode) for episode in episodes], np.int64),
            "successes": np.array([episode.success for episode in episodes], bool),
            "interventions": np.array([len(intervals(e.is_intervention)) for e in episodes], np.int64),
            "intervened": np.array([e.is_intervention.sum() for e in episodes], np.int64),  # steps
        }
