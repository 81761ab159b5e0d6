"""Checks rendering, versions, devices, memory and disk, and says what to do about each fault.

Example (exits with 1 if there is a fault):
  rldg doctor
"""

from dataclasses import asdict, dataclass

from rldg.cli.output import emit, table
from rldg.doctor import examine


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg doctor`."""

    json: bool = False
    """One line of JSON on standard output."""


def main(args: Args) -> int:
    """Exit status: 0, or 1 if a check found a fault."""
    checks = examine()
    rows = [(check.status, check.name, check.found) for check in checks]
    remedies = [f"{check.name}: {check.remedy}" for check in checks if check.remedy]
    faults = sum(check.status == "fault" for check in checks)
    verdict = f"{faults} fault{'s' if faults > 1 else ''}. What to do:" if faults else "No fault."
    emit(
        {"faults": faults, "checks": [asdict(check) for check in checks]},
        args.json,
        "\n".join([table(("STATUS", "CHECK", "FOUND"), rows), "", verdict, *remedies]),
    )
    return 1 if faults else 0
