"""Goes through a station: server, round trip, force at rest, gains, box, cameras, then, with your consent, gripper and
the corners of the safety box, slowly; prints a table.

Examples:
  rldg robot check stations/lab.yaml
  rldg robot check sim_franka --yes
"""

import sys
from dataclasses import asdict, dataclass

import tyro

from rldg.cli.output import emit, table
from rldg.tasks import load_station


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg robot check`."""

    # The station's name, or its file.
    station: tyro.conf.Positional[str]
    # Move without asking; without this, and without a terminal to ask, nothing moves.
    yes: bool = False
    # Print one JSON line last on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0 if everything that was tried works, else 1."""
    station = load_station(args.station)
    from rldg.robots.station_check import check_station

    def confirm(question: str) -> bool:
        asked = not args.yes and sys.stdin.isatty()
        return input(f"{question} [y/N] ").strip().lower() == "y" if asked else args.yes

    checks = list(check_station(station, confirm))
    rows = [("ok" if check.good else "FAILED", check.name, check.seen) for check in checks]
    emit({"checks": [asdict(check) for check in checks]}, args.json, table(("", "what", "seen"), rows))
    return 0 if all(check.good for check in checks) else 1
