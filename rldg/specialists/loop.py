"""The training loop: round by round, actors collect while the learner learns from the rounds before."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rldg.errors import RldgError
from rldg.specialists.actors import Actors
from rldg.specialists.arrays import Arrays, Tree, part, prefixed
from rldg.specialists.candidate import Selection, Tried
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.judging import Judging
from rldg.specialists.learner import Learner
from rldg.specialists.operators import WINDOW, OperatorStatistics
from rldg.specialists.progress import Progress
from rldg.specialists.replay import episodes, joined
from rldg.specialists.rounds import (
    DEMONSTRATE,
    EXPLORE,
    JUDGING,
    ROUND,
    TRANSITIONS,
    TRY,
    demonstrations_request,
    round_request,
)
from rldg.tasks.task import Task

logger = logging.getLogger(__name__)

RECENT = 20  # exploration episodes that the reported success share and the size of a round look back on
MOST_FAILED_DEMONSTRATIONS = 10  # per success, before it is given up
HOLD = "hold"  # file in the run folder that makes the training wait before its next round
HOLD_POLL_SECONDS = 0.5

Snapshot = Callable[
    [int, Tree, int], None
]  # keeps weights: environment steps that it stands for, the actor's weights, updates


class Loop:
    """What a training has come to: the learner, the candidates, the counts.

    The schedule is counted in rounds, episodes and steps, never in seconds, so that equal seeds give equal weights.
    """

    def __init__(
        self, task: Task, config: SpecialistConfig, learner: Learner, judging: Judging, actors: Actors, out: Path
    ) -> None:
        self._task, self._config, self._learner, self._actors, self._out = task, config, learner, actors, out
        self._judging = judging
        self._operator = OperatorStatistics(task.rate)
        self._successes: list[bool] = []  # of the last exploration episodes
        self._lengths: list[int] = []
        self._episodes = 0  # explored
        self._before = 0.0  # seconds of earlier attempts
        self._started = time.monotonic()
        self._advised = -WINDOW  # round of the last advice
        self._selection: Selection
        self._request: Arrays  # of the round that is next, or in the air

    def demonstrated(self) -> None:
        """Fills the prior data with demonstrations, of which the first request has been made, and plans round 1.

        Raises `RldgError` if the operator succeeds too rarely.
        """
        wanted, tried, missing = self._config.demonstrations, 0, self._config.demonstrations
        while missing:
            if tried:
                self._actors.begin(demonstrations_request(tried, missing))
            answer = self._actors.finish()[DEMONSTRATE]
            tried += missing
            missing -= int(answer["successes"].sum())
            steps = zip(episodes(part(TRANSITIONS, answer)), answer["successes"], strict=True)
            self._learner.add(joined([columns for columns, success in steps if success]), prior=True)
            if missing and tried >= wanted * (1 + MOST_FAILED_DEMONSTRATIONS):
                name = self._config.operator or "teleoperator"
                raise RldgError(
                    f"The {name} succeeded {wanted - missing} times in '{self._task.name}', {wanted} demonstrations "
                    f"are needed; `rldg evaluate {self._task.name} --policy {name}` shows why."
                )
        first = Tried(self._learner.average, self._learner.updates)
        self._selection = Selection(first, first)
        self._plan(1)

    def restore(self, saved: Arrays) -> None:
        """Goes on from a checkpoint."""
        self._learner.restore(saved)
        self._judging.restore(part(JUDGING, saved), self._learner.replay)
        self._selection = Selection.restore(saved)
        self._successes, self._lengths = saved["successes"].tolist(), saved["lengths"].tolist()
        self._operator = OperatorStatistics(self._task.rate, part("operator.", saved))
        self._episodes, self._before = int(saved["episodes"]), float(saved["wall_seconds"])
        self._request = part("request.", saved)

    def run(self, checkpoints: Checkpoints, snapshot: Snapshot) -> tuple[Tried, dict[str, Any]]:
        """Rounds until a candidate is confirmed or the budget ends; returns what to keep and the training's result."""
        progress = Progress(self._out, int(self._request[ROUND]) - 1, self._clock(), self._budget())
        saved_at = time.monotonic()
        try:
            while True:
                self._wait_while_held()
                progress.report(self._clock(), self._round(snapshot))
                self._advise()
                if self._ended():
                    break
                self._plan(int(self._request[ROUND]) + 1)
                if time.monotonic() - saved_at >= self._config.checkpoint_seconds:
                    self._save(checkpoints)
                    saved_at = time.monotonic()
        finally:
            progress.close()
        return self._selection.best, self._result()

    def _round(self, snapshot: Snapshot) -> dict[str, float]:
        """Does the round that was planned; returns its metrics."""
        learner, selection, began = self._learner, self._selection, time.monotonic()
        self._actors.begin(self._request)
        metrics = learner.learn()
        learned = time.monotonic()
        answer = self._actors.finish()
        metrics |= {"learn_seconds": learned - began, "wait_seconds": time.monotonic() - learned}
        if explored := answer[EXPLORE]:
            before = learner.env_steps
            learner.add(part(TRANSITIONS, explored), prior=False)
            metrics |= self._explored(explored)
            metrics |= self._judging.learn(int(self._request[ROUND]), learner.replay)
            if every := self._config.snapshot_steps:
                for point in range(before // every + 1, learner.env_steps // every + 1):
                    snapshot(point * every, learner.average, learner.updates)
        tried = answer[TRY]["successes"] if answer[TRY] else np.empty(0, bool)
        lengths = answer[TRY]["lengths"][tried] if len(tried) else tried
        selection.record(len(tried), lengths.tolist(), Tried(learner.average, learner.updates))
        return {
            ROUND: int(self._request[ROUND]),
            "env_steps": learner.env_steps,
            "updates": learner.updates,
            "episodes": self._episodes,
            "wall_seconds": self._seconds(),
            "candidate_successes": len(selection.candidate.lengths),
            **metrics,
        }

    def _explored(self, columns: Arrays) -> dict[str, float]:
        self._episodes += len(columns["lengths"])
        self._successes = (self._successes + columns["successes"].tolist())[-RECENT:]
        self._lengths = (self._lengths + columns["lengths"].tolist())[-RECENT:]
        metrics = {"success": float(np.mean(self._successes)), "episode_steps": float(np.mean(columns["lengths"]))}
        return metrics | (self._operator.record(columns) if self._config.operator else {})

    def _plan(self, number: int) -> None:
        """Round `number`: who explores and who is tried, in how many episodes."""
        config, learner, selection = self._config, self._learner, self._selection
        explore = 0
        if learner.updates >= config.pretrain_updates and learner.env_steps < config.max_env_steps:
            explore = max(1, round(config.round_steps / np.mean(self._lengths or [self._task.horizon])))
        tries = config.confirm_per_round if learner.updates >= config.least_updates else 0
        self._request = round_request(
            number,
            learner.actor,
            selection.candidate.actor,
            range(self._episodes, self._episodes + explore),
            range(selection.trials, selection.trials + tries),
        ) | prefixed(JUDGING, self._judging.message())

    def _ended(self) -> bool:
        config, learner = self._config, self._learner
        spent = learner.updates >= config.pretrain_updates and learner.env_steps >= config.max_env_steps
        return spent or self._confirmed()

    def _confirmed(self) -> bool:
        return len(self._selection.candidate.lengths) >= self._config.confirm_episodes

    def _clock(self) -> int:
        """How far the training is on the way to its budget: environment steps, or updates where nothing is explored."""
        return self._learner.env_steps if self._config.max_env_steps else self._learner.updates

    def _budget(self) -> int:
        return self._config.max_env_steps or self._config.pretrain_updates

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _wait_while_held(self) -> None:
        hold = self._out / HOLD
        if hold.exists():
            logger.warning("On hold until %s is removed.", hold)
        while hold.exists():
            time.sleep(HOLD_POLL_SECONDS)

    def _advise(self) -> None:
        number, advice = int(self._request[ROUND]), self._operator.advice()
        if advice and number >= self._advised + WINDOW:
            self._advised = number
            logger.warning("To the operator: %s", advice)

    def _save(self, checkpoints: Checkpoints) -> None:
        rest = {
            "successes": np.array(self._successes, bool),
            "lengths": np.array(self._lengths, np.int64),
            "episodes": np.array(self._episodes),
            "wall_seconds": np.array(self._seconds()),
        }
        rest |= prefixed("operator.", self._operator.arrays()) | prefixed("request.", self._request)
        rest |= prefixed(JUDGING, self._judging.arrays())
        arrays = self._learner.arrays() | self._selection.arrays() | rest
        checkpoints.save(int(self._request[ROUND]), arrays, self._learner.replay.arrays())

    def _result(self) -> dict[str, Any]:
        best, learner = self._selection.best, self._learner
        return {
            "train_seconds": round(self._seconds(), 2),
            "env_steps": learner.env_steps,
            "updates": learner.updates,
            "demonstration_steps": learner.prior_steps,
            "confirmed": self._confirmed(),
            "successes_in_a_row": len(best.lengths),
            "median_steps": float(np.median(best.lengths)) if best.lengths else None,
            "weights_from_update": best.updates,
            "actors_lost": self._actors.lost,
        }
