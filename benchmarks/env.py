"""Speed of the environment on one core, beside its bounds.

    python -m benchmarks.env [--out benchmarks/results/env.json]

Rates are per second of process CPU time, so that another busy process changes them little; the ratio to the bare
physics is taken in the same run, in turns. The bare physics is `mj_step` alone, from C, over the same motion.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import tyro

from rldg.cli.output import table
from rldg.env.robot_env import RobotEnv
from rldg.policies.expert import Expert
from rldg.robots.mujoco_robot import MujocoRobot
from rldg.rollout import rollout
from rldg.tasks import load_task

ROUNDS = 7
STEPS = 150


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    out: Path = Path("benchmarks/results/env.json")


def rate(step: Callable[[], None], steps: int = STEPS) -> float:
    """Calls per second of process CPU time."""
    started = time.process_time()
    for _ in range(steps):
        step()
    return steps / (time.process_time() - started)


def press(env: RobotEnv) -> None:
    """Brings the plug down onto the board, where it stays in contact."""
    env.reset(seed=3)
    for _ in range(20):
        env.step(np.array([0, 0, 1, 0, 0, 0, -1], np.float32))


def measure(task_name: str) -> dict[str, float]:
    """Median rates over several rounds."""
    task = load_task(task_name)
    env = RobotEnv(task, cameras=False)
    robot = env.robot
    assert isinstance(robot, MujocoRobot) and task.sim is not None
    substeps = round(1 / (task.rate * task.sim.timestep))
    generator = np.random.default_rng(0)
    actions = generator.uniform(-1, 1, (STEPS, 7)).astype(np.float32)
    rows: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for kind in ("free", "contact"):
            env.reset(seed=0) if kind == "free" else press(env)
            pull = np.zeros(7, np.float32) if kind == "free" else np.array([0, 0, 1, 0, 0, 0, 0], np.float32)
            rows.setdefault(f"bare_{kind}", []).append(
                rate(lambda: mujoco.mj_step(robot.model, robot.data, nstep=substeps))
            )
            env.reset(seed=0) if kind == "free" else press(env)
            stream = iter(actions)
            rows.setdefault(f"env_{kind}", []).append(rate(lambda: env.step(0.3 * next(stream) + pull) and None))
        started = time.process_time()
        episodes = [rollout(env, Expert(), seed) for seed in range(10)]
        rows.setdefault("episodes", []).append(sum(map(len, episodes)) / (time.process_time() - started))
    for label, cameras in (("one_camera", ("wrist_1",)), ("two_cameras", True)):
        seeing = RobotEnv(task, cameras=cameras)
        for _ in range(3):
            seeing.reset(seed=0)
            rows.setdefault(label, []).append(rate(lambda: seeing.step(np.zeros(7, np.float32)) and None, 80))
        seeing.close()
    return {name: round(float(np.median(values)), 1) for name, values in rows.items()}


def main(args: Args) -> None:
    """Prints the table and writes the JSON."""
    rates = measure(args.task)
    ratios = {kind: round(rates[f"env_{kind}"] / rates[f"bare_{kind}"], 3) for kind in ("free", "contact")}
    rows = [
        ("env.step, state only, free space", rates["env_free"], ">= 700"),
        ("env.step, state only, in contact", rates["env_contact"], ">= 700"),
        ("  of the bare physics, free space", ratios["free"], ">= 0.5"),
        ("  of the bare physics, in contact", ratios["contact"], ">= 0.5"),
        ("whole episodes of the expert, state only", rates["episodes"], ""),
        ("env.step with one 128 px wrist camera", rates["one_camera"], ">= 200"),
        ("env.step with wrist and side cameras", rates["two_cameras"], ""),
    ]
    print(table(("what", "per second of one core", "bound"), rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"task": args.task, "rates": rates, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
