"""What fine-tuning is told alike, whichever generalist it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rldg.cli.output import emit
from rldg.errors import UsageError


@dataclass(frozen=True)
class Shared:
    """Arguments that every generalist takes."""

    # Folders of data sets; their successful episodes are trained on.
    data: tuple[Path, ...]
    # Run folder.
    out: Path
    # Seed of weights, batches and noise.
    seed: int = 0
    # Task to try every checkpoint on in simulation, on locked scenes; success is logged with the loss.
    evaluate: str | None = None
    # Scenes per checkpoint.
    episodes: int = 20
    # Project of Weights & Biases to log to as well; WANDB_MODE=offline needs no network.
    wandb: str = ""
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False

    def trial(self) -> "Trial | None":
        """What is done with every checkpoint; raises `UsageError` if no scene is left to try it on."""
        if self.episodes < 1:
            raise UsageError("--episodes counts from 1.")
        return None if self.evaluate is None else Trial(self.evaluate, self.episodes)


def recipe_name(command_line: Sequence[str], default: str) -> str:
    """The recipe that a command line names, which decides what its other options stand for if they are not given."""
    names = [
        after if flag == "--recipe" else flag.partition("=")[2]
        for flag, after in pairwise([*command_line, ""])
        if flag == "--recipe" or flag.startswith("--recipe=")
    ]
    return names[-1] if names else default


def report(generalist: str, args: Shared, result: dict[str, Any]) -> int:
    """Says what a finished training came to; returns the exit status 0."""
    text = f"{args.out}: {result['updates']} updates on {result['frames']} frames, loss {result['loss']:.3f}"
    emit({"generalist": generalist, "out": args.out, **result}, args.json, text)
    return 0


class Trial:
    """Tries a checkpoint on a task's locked scenes; the evaluation is kept in the run folder."""

    def __init__(self, task: str, episodes: int) -> None:
        """Raises `UnknownNameError` if there is no such task."""
        from rldg.tasks import load_task

        self._name, self._task, self._episodes = task, load_task(task), episodes

    def __call__(self, step: int, run: Path) -> dict[str, float]:
        """Share of successes of the checkpoint at `step` of the run folder."""
        from rldg.evaluation.evaluate import EVALUATION_SEED, evaluate  # MuJoCo
        from rldg.resolve import load_policy
        from rldg.workers import EpisodeRunner

        policy = f"{run}@{step}"
        summary = evaluate(
            EpisodeRunner(self._name, policy, EVALUATION_SEED),
            run / "evaluation" / str(step),
            self._episodes,
            task=self._task,
            policy=policy,
            videos=0,
            inputs={"policy": load_policy(policy).metadata.weight_hash},
        )
        return {"success": summary.successes / summary.trials}
