"""Fine-tunes a generalist on data sets; `octo-tiny`, the default, is trained from scratch on one CPU core.

Example: rldg finetune octo --data runs/data --out runs/octo
`--recipe NAME` takes all of a recipe's choices, of which further options change some.
The same command continues a training that was interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.generalists.octo.recipes import FinetuneConfig, recipe


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg finetune`."""

    # Which generalist.
    generalist: tyro.conf.Positional[Literal["octo"]]
    # Folders of data sets; their successful episodes are trained on.
    data: tuple[Path, ...]
    # Run folder.
    out: Path
    # octo-tiny, rldg (as RLDG's authors fine-tuned Octo) or octo (the defaults of Octo's own script).
    recipe: str = "octo-tiny"
    # Checkpoint to start from instead of random weights: a folder, or a hub id such as hf://rail-berkeley/octo-base-1.5.
    init: str | None = None
    # Seed of weights, batches and noise.
    seed: int = 0
    # Task to try every checkpoint on in simulation, on locked scenes; success is logged with the loss.
    evaluate: str | None = None
    # Scenes per checkpoint.
    episodes: int = 20
    # Project of Weights & Biases to log to as well; WANDB_MODE=offline needs no network.
    wandb: str = ""
    # Train together with the same command on other hosts, over a run folder that all see.
    distributed: bool = False
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False
    # Model, budget and rates of the training.
    config: FinetuneConfig = field(default_factory=FinetuneConfig)


def defaults(command_line: Sequence[str]) -> Args:
    """What options that are not given stand for, with the recipe that is named on the command line."""
    names = [
        after if flag == "--recipe" else flag.partition("=")[2]
        for flag, after in zip(command_line, [*command_line[1:], ""], strict=True)
        if flag == "--recipe" or flag.startswith("--recipe=")
    ]
    name = names[-1] if names else Args.recipe
    missing: Any = tyro.MISSING
    found = recipe(name)
    return Args(missing, data=missing, out=missing, recipe=name, init=found.init, config=found.config)


def main(args: Args) -> int:
    """Exit status 0 once the training is finished."""
    if args.episodes < 1:
        raise UsageError("--episodes counts from 1.")
    from rldg.generalists.octo.train import finetune  # JAX: not for --help

    result = finetune(
        args.config,
        list(args.data),
        args.out,
        args.seed,
        init=args.init,
        overwrite=args.overwrite,
        on_checkpoint=None if args.evaluate is None else Trial(args.evaluate, args.episodes),
        wandb=args.wandb,
        distributed=args.distributed,
    )
    text = f"{args.out}: {result['updates']} updates on {result['frames']} frames, loss {result['loss']:.3f}"
    emit({"generalist": args.generalist, "out": args.out, **result}, args.json, text)
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
