"""Carries out iRe-VLA, or one of its baselines: what the file says, task by task (docs/irevla.md).

Example: rldg irevla run pipelines/irevla.yaml --out runs/irevla
`rldg evaluate TASK --policy runs/irevla` then tries what came out. The same command continues a run that was killed.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from rldg.cli.output import emit, table


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg irevla run`."""

    # YAML of the run; docs/irevla.md lists what it may say.
    config: tyro.conf.Positional[Path]
    # Run folder.
    out: Path
    # Seed of weights, batches, scenes and exploration.
    seed: int = 0
    # irevla, or a baseline, instead of what the file says.
    method: Literal["irevla", "sft", "ppo-replay", "freeze", "scratch"] | None = None
    # Run folder of a stage 0 to go on from, instead of what the file says.
    start: Path | None = None
    # Where stage 1 takes place: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Processes that share the environments; 0 for one per processor. What comes out is the same for any number.
    workers: int = 1
    # Replace what another configuration left in the run folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once every stage is finished."""
    from rldg.irevla.config import read_config  # JAX: not for --help
    from rldg.irevla.run import run
    from rldg.irevla.vector import environments

    config = read_config(args.config)
    if args.method:
        config = replace(config, method=args.method)
    if args.start:
        config = replace(config, start=args.start)
    result = run(config, args.out, args.seed, environments(args.station, args.workers), overwrite=args.overwrite)
    rows = [
        (one["task"], one["iterations"], one["env_steps"], one["collected"], f"{one['success']:.0%}", one["ended"])
        for one in result["tasks"]
    ]
    header = ("task", "iterations", "steps", "successes kept", "success while learning", "ended by")
    emit({"out": args.out, **result}, args.json, f"{args.out}: {config.method}\n{table(header, rows)}")
    return 0
