"""A page in the browser from which a person moves the arm: cameras, force, buttons. Episodes go into an RLDS data set;
without --out into none, for practice. docs/teleoperation.md.

Examples:
  rldg serve teleop usb_a_insertion --episodes 20 --out runs/demonstrations
  rldg serve teleop usb_a_insertion --policy runs/specialist --out runs/corrected
  RLDG_TOKEN=secret rldg serve teleop usb_a_insertion --host 0.0.0.0 --port 8080
"""

import contextlib
import itertools
from dataclasses import dataclass
from pathlib import Path

import tyro

from rldg.cli import collect


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg serve teleop`."""

    # Task name, or path of a task YAML.
    task: tyro.conf.Positional[str]
    # A policy that acts until the person takes over; without one the person does everything.
    policy: str = ""
    # Where: a station's name, or the path of its YAML (docs/station.md).
    station: str = "sim"
    # Folder of the data set; without it nothing is recorded.
    out: Path | None = None
    # Episodes that the data set shall hold.
    episodes: int = 20
    # Name of the person, for the record.
    operator: str = ""
    # Seed from which every episode's seed descends.
    seed: int = 0
    # Address to listen on; any but this machine's own asks for a token, which is part of the printed address.
    host: str = "127.0.0.1"
    # Port to listen on, or 0 for a free one.
    port: int = 8080
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 once the data set holds what was asked for; practice ends with Ctrl-C."""
    page = f"browser:host={args.host},port={args.port}"
    policy = f"{args.policy}+{page}" if args.policy else page
    if args.out is not None:
        options = {"station": args.station, "operator": args.operator, "seed": args.seed, "json": args.json}
        return collect.main(collect.Args(args.task, policy, args.episodes, args.out, **options))
    from rldg.workers import EpisodeRunner  # MuJoCo: not for --help

    runner = EpisodeRunner(args.task, policy, base_seed=args.seed, station=args.station)
    with contextlib.suppress(KeyboardInterrupt):
        for index in itertools.count():
            runner(index)
    return 0
