"""Trials of one policy on locked scenes, durable one by one."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.engines import WorkerError, make_engine
from rldg.errors import RldgError
from rldg.evaluation.trials import (
    Summary,
    Trial,
    append_line,
    append_trial,
    cut_unfinished_line,
    read_trials,
    summarise,
)
from rldg.rollout.episode import Episode
from rldg.rollout.video import write_video
from rldg.stage import stage, write_json
from rldg.tasks.task import Task
from rldg.workers import map_episodes

# Scenes that are locked for evaluation: no training or collection draws its seeds from here on.
EVALUATION_SEED = 1_000_000_000
ATTEMPTS = 2  # how often a scene is tried when the set-up, not the policy, fails

logger = logging.getLogger(__name__)

RunEpisode = Callable[[int], Episode]


class InfrastructureError(RldgError):
    """The set-up failed so often that nothing can be said about the policy."""


@dataclass(frozen=True)
class Fault:
    """Why a scene has no outcome: an exception in the set-up."""

    index: int
    error: str


@dataclass(frozen=True)
class FaultTolerant:
    """Runs an episode and hands back an exception of the set-up as a `Fault`; an `RldgError` is still raised."""

    run_episode: RunEpisode

    def __call__(self, index: int) -> Episode | Fault:
        """The episode of scene number `index`, or why there is none."""
        try:
            episode = self.run_episode(index)
            return Fault(index, episode.fault) if episode.fault else episode
        except RldgError:
            raise
        except Exception as error:
            return Fault(index, f"{type(error).__name__}: {error}")


def evaluate(
    run_episode: RunEpisode,
    out: Path,
    episodes: int,
    *,
    task: Task,
    policy: str,
    workers: int = 1,
    videos: int = 3,
    configuration: dict[str, Any] | None = None,
    inputs: dict[str, str] | None = None,
    overwrite: bool = False,
) -> Summary:
    """Tries a policy on `episodes` locked scenes and writes `trials.jsonl`, `videos/` and `summary.json` into `out`.

    Args:
        run_episode: picklable; rolls the policy out on locked scene number `index`, in worker processes
            (`rldg.workers.EpisodeRunner` with `EVALUATION_SEED` as its base seed).
        out: run folder. After a kill, the same call goes on with the scenes that have no outcome yet.
        episodes: number of scenes, counted from the first locked one; asking for more extends a finished evaluation.
        task: what is tried; its name and hash go on record.
        policy: how the policy is called in the summary.
        workers: processes that roll out.
        videos: how many successes, and how many failures, are filmed (the first ones), if the episodes have images.
        configuration: what else decides whether `out` belongs to this evaluation.
        inputs: name -> hash of what the policy came from.
        overwrite: whether to replace what `out` holds.

    An exception that is no `RldgError` (a dead worker, a failed renderer), or a robot that faults, is an
    infrastructure fault: the scene is tried again, and if it faults again it is counted apart, in no success rate.

    Raises:
        InfrastructureError: when no scene at all could be tried.
        StageError: when `out` holds another evaluation.
        RldgError: whatever the policy or the environment refuses, such as an action that is not finite.
    """
    identity = {"task": task.name, "task_hash": task.hash, "policy": policy} | (configuration or {})
    with stage(out, "evaluate", identity, seed=EVALUATION_SEED, inputs=inputs, overwrite=overwrite) as run:
        for name in ("trials.jsonl", "faults.jsonl"):
            cut_unfinished_line(out / name)
        film = Filmer(out / "videos", videos, task.rate)
        with tqdm(total=episodes, desc=f"{policy} on {task.name}", unit="trial", dynamic_ncols=True) as bar:
            faults = _try_scenes(FaultTolerant(run_episode), out, episodes, workers, film, bar)
        trials = read_trials(out / "trials.jsonl")
        if not trials:
            raise InfrastructureError(f"No scene of '{task.name}' could be tried; the last fault: {faults[-1].error}")
        summary = summarise(task.name, policy, trials, len(faults))
        result = json.loads(json.dumps(asdict(summary)))
        write_json(out / "summary.json", result)
        run.result = result
    return summary


def _try_scenes(
    runner: FaultTolerant, out: Path, episodes: int, workers: int, film: "Filmer", bar: tqdm
) -> list[Fault]:
    """Fills `trials.jsonl`; returns the faults of the scenes that are left without an outcome."""
    faults: list[Fault] = []
    for _ in range(ATTEMPTS):
        done = {trial.index for trial in read_trials(out / "trials.jsonl")}
        missing = [index for index in range(episodes) if index not in done]
        bar.update(len(done) - bar.n)
        faults = []
        for index, outcome in _outcomes(runner, missing, workers):
            if isinstance(outcome, Fault):
                logger.warning("Infrastructure fault on scene %d: %s", index, outcome.error)
                append_line(out / "faults.jsonl", asdict(outcome))
                faults.append(outcome)
                continue
            trial = Trial.of(index, outcome)
            film(trial, outcome)  # before the trial is on record: a kill in between films it again
            append_trial(out / "trials.jsonl", trial)
            bar.update()
        if not faults:
            break
    return faults


def _outcomes(runner: FaultTolerant, missing: Sequence[int], workers: int) -> Iterator[tuple[int, Episode | Fault]]:
    """Outcome of every missing scene in order; a scene on which worker processes keep dying is a fault."""
    remaining = list(missing)
    while remaining:
        try:
            for index, outcome in map_episodes(runner, tuple(remaining), make_engine(workers=workers)):
                remaining.remove(index)
                yield index, outcome
        except WorkerError as error:
            index = remaining.pop(0)
            yield index, Fault(index, str(error))


class Filmer:
    """Films the first successes and the first failures, as many of each as asked for."""

    def __init__(self, folder: Path, each: int, rate: float) -> None:
        self._folder = folder
        self._each = each
        self._rate = rate

    def __call__(self, trial: Trial, episode: Episode) -> None:
        """Writes `<scene>_<outcome>.mp4` while there are too few of that outcome."""
        kind = "success" if trial.success else "failure"
        path = self._folder / f"{trial.index:04d}_{kind}.mp4"
        others = [film for film in self._folder.glob(f"*_{kind}.mp4") if film != path and not film.name.startswith(".")]
        if episode.images and len(others) < self._each:
            write_video(path, episode, self._rate)
