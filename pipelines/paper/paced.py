"""A policy at another rate than it was trained at: each of its actions has longer, or less long, to be carried out.

OpenVLA acts at 4 Hz in the paper, on data of 10 Hz, because it is slow; nothing else of the task changes here.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rldg.evaluation.evaluate import EVALUATION_SEED, evaluate
from rldg.resolve import load_policy
from rldg.rollout.episode import Episode
from rldg.rollout.loop import rollout
from rldg.tasks import load_station, load_task
from rldg.tasks.task import Task
from rldg.workers import episode_seed


@dataclass(frozen=True)
class Args:
    """One policy on the locked scenes of some tasks, at `rate`; a folder per task."""

    tasks: tuple[str, ...]
    policy: str
    out: Path
    rate: float  # actions per second
    episodes: int = 100
    station: str = "sim"
    overwrite: bool = False


@dataclass
class PacedRunner:
    """Runs an episode on locked scene number `index`, as `rldg.workers.EpisodeRunner` does at the usual rate."""

    task: Task
    policy: str
    station: str = "sim"
    _made: Any = field(default=None, repr=False, compare=False)

    def __call__(self, index: int) -> Episode:
        """The policy's word on its rate is set aside; everything else it says must fit the task as always."""
        if self._made is None:
            from rldg.env.robot_env import RobotEnv

            policy = load_policy(self.policy)
            if (contract := policy.metadata.action_contract) is not None:
                contract = replace(contract, rate=self.task.rate)
            policy.metadata = replace(policy.metadata, action_contract=contract)
            self._made = RobotEnv(self.task, load_station(self.station)), policy
        env, policy = self._made
        return rollout(env, policy, episode_seed(EVALUATION_SEED, index))


def at_rate(task: Task, rate: float) -> Task:
    """The task at another control rate, with as many seconds until the time-out."""
    return task.model_copy(update={"rate": rate, "horizon": round(task.horizon * rate / task.rate)})


def main(args: Args) -> int:
    """Exit status 0 when every task was evaluated, whatever the success."""
    for name in args.tasks:
        task = at_rate(load_task(name), args.rate)
        evaluate(
            PacedRunner(task, args.policy, args.station),
            args.out / task.name,
            args.episodes,
            task=task,
            policy=args.policy,
            videos=0,
            configuration={"station": args.station},
            inputs={"policy": load_policy(args.policy).metadata.weight_hash},
            overwrite=args.overwrite,
        )
    return 0
