"""Whoever wants the arm out of its box: random and adversarial sequences of commands, and the limits that they broke.

python -m benchmarks.safety [--sequences 100000] [--out benchmarks/results/safety.json]
"""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from rldg import geometry
from rldg.robots.motion_limits import MotionLimits, distance
from rldg.robots.stops import RobotStop
from rldg.tasks.safety import Safety

SAFETY, PERIOD = Safety(), 0.1
TARGET = np.array([0.5, 0.0, 0.08, 1.0, 0.0, 0.0, 0.0])
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Args:
    """Arguments of the check."""

    sequences: int = 100_000
    seed: int = 0
    out: Path = Path("benchmarks/results/safety.json")


def main(args: Args) -> int:
    """Exit status 1 if any limit was broken."""
    started, broken = time.monotonic(), Counter[str]()
    for index in range(args.sequences):
        broken.update(sequence(np.random.default_rng([args.seed, index])))
    result = {
        "sequences": args.sequences,
        "seed": args.seed,
        "violations": dict(broken),
        "seconds": round(time.monotonic() - started, 1),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))
    return 1 if broken else 0


def coordinates(pose: np.ndarray) -> np.ndarray:
    """Position [m] and roll, pitch, yaw [rad] in the target frame."""
    local = geometry.relative(TARGET, pose)
    return np.concatenate([local[:3], geometry.euler(local)])


def violations(last: np.ndarray, pose: np.ndarray, elapsed: float) -> list[str]:
    """Which limits the step from `last` to `pose` after `elapsed` seconds breaks."""
    found, where = [], coordinates(pose)
    if (where < np.array(SAFETY.box.low) - TOLERANCE).any() or (where > np.array(SAFETY.box.high) + TOLERANCE).any():
        found.append("box")
    way, turn = distance(last, pose)
    allowed = min(max(elapsed, 0.0), PERIOD)
    if way > SAFETY.speed * allowed + TOLERANCE:
        found.append("speed")
    if turn > SAFETY.turn_speed * allowed + 1e-7:  # arc cosines are that coarse
        found.append("turn_speed")
    return found


def sequence(generator: np.random.Generator, length: int = 15) -> list[str]:
    """The limits that one random sequence breaks: small and large ways, wild numbers, wrong clocks, wrong readings."""
    limits, now = MotionLimits(SAFETY, TARGET, PERIOD), float(generator.uniform(0, 1e6))
    start = geometry.compose(TARGET, _around(generator, 0.5))
    last, at = start, now - PERIOD
    limits.begin(start, now)
    measured, broken = start, []
    for _ in range(length):
        now += generator.choice([0.0, -0.05, 1e-4, 0.02, 0.1, 0.1, 0.1, 5.0])
        command = _command(generator, last, measured)
        try:
            pose = limits(command, measured, now)
        except RobotStop:
            continue
        broken += violations(last, pose, now - at)
        last, at = pose, now
        measured = [pose, geometry.compose(pose, _around(generator, 0.1)), measured][generator.integers(3)]
    return broken


def _around(generator: np.random.Generator, scale: float) -> np.ndarray:
    low, high = scale * np.array(SAFETY.box.low), scale * np.array(SAFETY.box.high)
    draw = generator.uniform(low, high)
    return geometry.pose_from_euler(draw[:3], draw[3:])


def _command(generator: np.random.Generator, last: np.ndarray, measured: np.ndarray) -> np.ndarray:
    kind = generator.integers(6)
    if kind == 0:  # outwards, a little further each time
        away = geometry.pose_from_euler(generator.uniform(-0.1, 0.1, 3), generator.uniform(-1, 1, 3))
        return geometry.compose(last, away)
    if kind == 1:  # what a policy at full scale asks for
        return geometry.integrate(measured, generator.choice([-1, 1], 6) * np.repeat([0.015, 0.1], 3))
    if kind == 2:
        return geometry.compose(TARGET, _around(generator, 3.0))
    if kind == 3:
        return generator.normal(size=7) * 10.0 ** generator.uniform(-3, 300)
    if kind == 4:
        wild = np.array(last)
        wild[generator.integers(7)] = generator.choice([np.nan, np.inf, -np.inf, 1e308, 5e-324])
        return wild
    return np.concatenate([last[:3], -last[3:]])  # the same orientation by the other quaternion


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Args, description=__doc__)))
