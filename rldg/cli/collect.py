"""Rolls a policy out and writes its episodes as an RLDS data set. The same command continues an interrupted collection;
asking for more episodes extends it.

Examples:
  rldg collect usb_a_insertion --policy runs/specialist --episodes 45 --count-successes --workers 4 --out runs/data
  rldg collect usb_a_insertion --policy runs/specialist --episodes 10000 --out runs/data --dry-run 20
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from tqdm import tqdm

from rldg.cli.output import emit, table
from rldg.cli.station import check_workers
from rldg.errors import UsageError
from rldg.tasks import load_task

if TYPE_CHECKING:
    from rldg.data.forecast import Forecast


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg collect`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # Who acts: expert, teleoperator, the folder of a trained policy, a server's ws://HOST:PORT, or a person with a
    # spacemouse, gamepad, keyboard or browser. POLICY+teleoperator lets the simulated operator take over where the
    # policy gets no further, POLICY+browser a person.
    policy: str
    # Episodes that the data set shall hold.
    episodes: int
    # Folder of the data set; one that ends in NAME/1.0.0 can also be found by name, see docs/data.md.
    out: Path
    # Where: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Count successes only towards --episodes; the failures in between are kept and labelled.
    count_successes: bool = False
    # Let a specialist sample its actions instead of taking the most likely ones.
    stochastic: bool = False
    # Processes that run episodes; 0 for one per processor.
    workers: int = 1
    # Where they run: on this machine, or on a Ray cluster.
    engine: Literal["local", "ray"] = "local"
    # The Ray cluster's head, HOST:6379; by default RAY_ADDRESS, else the cluster on this machine.
    ray_address: str = ""
    # Seconds after which an episode is ended and run again by another worker (not with a single local one).
    episode_timeout: float = 600.0
    # Run this many episodes without writing anything, and predict time, disk and success share.
    dry_run: int = 0
    # Name of the person who teleoperates or takes over, for the record.
    operator: str = ""
    # Seed from which every episode's seed descends.
    seed: int = 0
    # Replace what another configuration left in the folder.
    overwrite: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the data set holds what was asked for."""
    if args.episodes < 0 or args.workers < 0 or args.dry_run < 0 or not args.episode_timeout > 0:
        raise UsageError("--episodes, --workers and --dry-run take no negative number, --episode-timeout none below 0.")
    task = load_task(args.task)
    from rldg.data.collection import collect  # TFDS, MuJoCo and perhaps JAX: not for --help
    from rldg.data.forecast import forecast
    from rldg.engines import make_engine
    from rldg.resolve import load_policy
    from rldg.stage import code_version
    from rldg.workers import EpisodeRunner

    acting = load_policy(args.policy, stochastic=args.stochastic)
    if acting.real_time and (args.workers != 1 or args.engine != "local"):
        raise UsageError("A person acts in one episode at a time: --workers 1, on this machine.")
    policy = acting.metadata
    inputs = {"task": task.hash, "policy": policy.weight_hash}
    runner = EpisodeRunner(
        args.task,
        args.policy,
        base_seed=args.seed,
        station=args.station,
        stochastic=args.stochastic,
        operator=args.operator,
        expected={**inputs, "code": code_version()},
    )
    check_workers(args.station, [task], args.workers)
    engine = make_engine(args.engine, args.workers, args.ray_address)
    how = {"count_successes": args.count_successes, "engine": engine, "timeout": args.episode_timeout}
    about = {"task": task.name, "policy": policy.kind, "out": args.out}
    if args.dry_run:
        expected = forecast(runner, args.dry_run, args.episodes, **how)
        free = _free(args.out)
        emit({**about, "dry_run": True, **asdict(expected), "bytes_free": free}, args.json, _predicted(expected, free))
        return 0
    configuration: dict[str, Any] = {"task": task.name, "policy": policy.kind, "stochastic": args.stochastic}
    if args.station != "sim":
        configuration["station"] = args.station
    if args.operator:
        configuration["operator"] = args.operator
    result = collect(
        runner,
        args.out,
        args.episodes,
        configuration=configuration,
        seed=args.seed,
        inputs=inputs,
        overwrite=args.overwrite,
        **how,
    )
    text = (
        f"{result['episodes']} episodes, {result['successes']} of them successful, {result['steps']} steps; {args.out}"
    )
    emit({**about, **result}, args.json, text)
    return 0


def _free(folder: Path) -> int:
    """Bytes that are free where `folder` is or will be."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _predicted(expected: "Forecast", free: int) -> str:
    unknown = "unknown: not one success was seen"
    low, high = expected.wilson95
    share = f"{expected.success_share:.0%} (95 % interval {low:.0%} .. {high:.0%})"
    rows = [
        ("success", f"{expected.successes} of {expected.tried}: {share}"),
        ("steps per episode", f"{expected.steps_per_episode:.1f}"),
        ("episodes", unknown if expected.episodes is None else expected.episodes),
        ("time", unknown if expected.seconds is None else tqdm.format_interval(expected.seconds)),
        ("disk", unknown if expected.bytes is None else tqdm.format_sizeof(expected.bytes, "B")),
        ("free there", tqdm.format_sizeof(free, "B")),
    ]
    return table(("what", "expected"), rows)
