"""Serves a simulated station over the HTTP routes of SERL's Franka server: to `--station`, to the original clients,
to whoever speaks that protocol (docs/station.md). An address beyond this machine gets a token, part of the address.

Examples:
  rldg serve robot usb_a_insertion
  rldg serve robot usb_a_insertion --speed 4 --port 5001
  rldg collect usb_a_insertion --station sim_franka --policy runs/specialist --episodes 10 --out runs/data
"""

import contextlib
import sys
from dataclasses import dataclass

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError
from rldg.tasks import load_station, load_task


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg serve robot`."""

    # Task name, or path of a task YAML, whose scene is simulated.
    task: tyro.conf.Positional[str]
    # Simulated station: a name, or the path of a YAML.
    station: str = "sim"
    # Address to listen on; any but this machine's own gets a token: RLDG_TOKEN where it is set, else a fresh one.
    host: str = "127.0.0.1"
    # Port to listen on, or 0 for a free one; clients expect 5000.
    port: int = 5000
    # Seconds of physics per second; 0: one control period passes with every commanded pose, as fast as they come.
    speed: float = 1.0
    # Frames per second of the cameras.
    fps: float = 30.0
    # Of the scene and of faults.
    seed: int = 0
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 when it is interrupted, which is how serving ends; by exception 1 or 2."""
    if args.speed < 0 or args.fps <= 0:
        raise UsageError("--speed takes no negative number, and --fps none below 0.")
    task, station = load_task(args.task), load_station(args.station)
    try:
        from rldg.listening import token_for
        from rldg.serving.station import StationServer  # MuJoCo: not for --help
    except ModuleNotFoundError as error:
        raise UsageError(f"Serving a station needs {error.name}: pip install 'rldg[web]'.") from None
    token = token_for(args.host)
    server = StationServer(
        task,
        station,
        host=args.host,
        port=args.port,
        token=token,
        speed=args.speed,
        fps=args.fps,
        seed=args.seed,
    )
    emit({"url": server.url, "task": task.name}, args.json, f"{task.name} at {server.url}  (Ctrl-C ends it)")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()
    server.close()
    return 0
