"""Rolls a policy out and writes its episodes as an RLDS data set. The same command continues an interrupted collection;
asking for more episodes extends it.

Example: rldg collect usb_a_insertion --policy runs/specialist --episodes 45 --count-successes --out runs/data
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from rldg.cli.output import emit
from rldg.tasks import load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg collect`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Who acts: expert, teleoperator, or the folder of a trained policy.
    policy: str
    # Episodes that the data set shall hold.
    episodes: int
    # Folder of the data set; one that ends in NAME/1.0.0 can also be found by name, see docs/data.md.
    out: Path
    # Count successes only towards --episodes; the failures in between are kept and labelled.
    count_successes: bool = False
    # Let a specialist sample its actions instead of taking the most likely ones.
    stochastic: bool = False
    # Processes that run episodes.
    workers: int = 1
    # Seed from which every episode's seed descends.
    seed: int = 0
    # Replace what another configuration left in the folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the data set holds what was asked for."""
    task = load_task(args.task)
    from rldg.data.collection import collect  # TFDS, MuJoCo and perhaps JAX: not for --help
    from rldg.resolve import load_policy
    from rldg.workers import EpisodeRunner

    policy = load_policy(args.policy, stochastic=args.stochastic).metadata
    result = collect(
        EpisodeRunner(args.task, args.policy, base_seed=args.seed, stochastic=args.stochastic),
        args.out,
        args.episodes,
        configuration={"task": task.name, "policy": policy.kind, "stochastic": args.stochastic},
        seed=args.seed,
        inputs={"task": task.hash, "policy": policy.weight_hash},
        count_successes=args.count_successes,
        workers=args.workers,
        overwrite=args.overwrite,
    )
    text = (
        f"{result['episodes']} episodes, {result['successes']} of them successful, {result['steps']} steps; {args.out}"
    )
    emit({"task": task.name, "policy": policy.kind, "out": args.out, **result}, args.json, text)
    return 0
