"""The path to a physical robot, over HTTP on the simulated station: what it costs, and what it survives.

python -m benchmarks.station [--policy runs/specialist] [--episodes 100]   # round trip, stops, success, jitter
python -m benchmarks.station --faults 600                                  # ten minutes of random faults
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import urllib3

from rldg.cli.output import table
from rldg.env.robot_env import RobotEnv
from rldg.evaluation.statistics import wilson
from rldg.resolve import load_policy
from rldg.robots.franka_client import FrankaClient
from rldg.robots.franka_robot import FrankaRobot
from rldg.robots.stops import RobotStop
from rldg.rollout import rollout
from rldg.tasks import load_station, load_task
from rldg.tasks.station import Station
from rldg.tasks.task import Task

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "latency", "amount": 0.05},
    {"kind": "latency", "amount": 0.4},
    {"kind": "lost_request", "probability": 0.3},
    {"kind": "lost_reply", "probability": 0.3},
    {"kind": "late_reply", "probability": 0.5, "amount": 0.2},
    {"kind": "error", "probability": 0.5},
    {"kind": "reflex"},
    {"kind": "push", "amount": 80.0},
    {"kind": "frozen_camera"},
)


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    # Who acts: what `rldg evaluate --policy` takes.
    policy: str = "expert"
    # Episodes at real time over HTTP, and as many in this process.
    episodes: int = 20
    # Seconds of random faults instead of everything else.
    faults: float = 0.0
    seed: int = 0
    out: Path = Path("benchmarks/results")


def _serve(connection: Connection, task: str, seed: int) -> None:
    from rldg.serving.station import StationServer

    server = StationServer(load_task(task), load_station("sim"), seed=seed)
    connection.send(server.url)
    server.serve()


@contextmanager
def station_process(task: str, seed: int) -> Iterator[Station]:
    """The simulated station in a process of its own, as on another machine."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs, task, seed), daemon=True)
    process.start()
    if not ours.poll(60):
        raise RuntimeError("The station did not start.")
    station = load_station("sim_franka").model_copy(update={"url": ours.recv()})
    time.sleep(0.5)
    try:
        yield station
    finally:
        process.terminate()
        process.join(10)


def round_trip(station: Station) -> dict[str, float]:
    """Milliseconds of one `/pose` and one `/getstate`."""
    client, taken = FrankaClient(station.url), []
    pose = client.state().pose
    for _ in range(500):
        started = time.perf_counter()
        client.send_pose(pose)
        client.state()
        taken.append(1000 * (time.perf_counter() - started))
        time.sleep(0.002)
    client.close()
    return {"median_ms": round(float(np.median(taken)), 2), "p99_ms": round(float(np.percentile(taken, 99)), 2)}


def stops(task: Task, station: Station) -> dict[str, float]:
    """Milliseconds from a push, and from the watchdog's expiry, until the arm was told to hold; the longest of five."""
    robot = FrankaRobot(task, station)
    told: list[float] = []

    def noting(send: Callable[[np.ndarray], None]) -> Any:
        def send_and_note(pose: np.ndarray) -> None:
            send(pose)
            told.append(time.monotonic())

        return send_and_note

    client = robot.arm.client
    client.send_pose, client.clear_and_send_pose = noting(client.send_pose), noting(client.clear_and_send_pose)
    reaction: dict[str, list[float]] = {"force": [], "watchdog": []}
    for trial in range(5):
        robot.reset(np.random.default_rng(trial))
        robot.move(robot.state().pose, 0.0)
        commanded = told[-1]
        time.sleep(station.safety.watchdog + 0.3)
        reaction["watchdog"].append(told[-1] - commanded - station.safety.watchdog)
        robot.reset(np.random.default_rng(trial))
        robot.move(robot.state().pose, 0.0)
        pushed = time.monotonic()
        send_fault(station, {"kind": "push", "amount": 80.0, "seconds": 0.5})
        try:
            for _ in range(3):
                robot.move(robot.state().pose, 0.0)
        except RobotStop:
            reaction["force"].append(told[-1] - pushed)
        time.sleep(0.6)
    robot.close()
    return {f"{name}_ms": round(1000 * max(values), 1) for name, values in reaction.items()}


def send_fault(station: Station, fault: dict[str, Any]) -> None:
    """Begins a fault at the simulated station."""
    urllib3.request("POST", f"{station.url}sim/fault", json={"seconds": 1.0} | fault, timeout=10, retries=3)


def successes(make: Callable[[], RobotEnv], policy: str, episodes: int) -> dict[str, Any]:
    """How often `policy` succeeds, and how evenly its steps follow each other."""
    env, acting = make(), load_policy(policy)
    done = [rollout(env, acting, seed) for seed in range(episodes)]
    good = sum(episode.success for episode in done)
    result = {"successes": good, "episodes": episodes, "wilson95": wilson(good, episodes)}
    result["steps"] = round(float(np.mean([len(episode) for episode in done if episode.success] or [0])), 1)
    if isinstance(env.robot, FrankaRobot):
        result["timing"] = asdict(env.robot.arm.pace.timing())
    env.close()
    return result


def still(task: Task) -> Task:
    """The task with its fixture where a station has it."""
    assert task.sim is not None
    fixed = {"socket_position_noise": (0.0, 0.0, 0.0), "socket_yaw_noise": 0.0}
    return task.model_copy(update={"sim": task.sim.model_copy(update=fixed)})


@contextmanager
def chaos(station: Station, seed: int) -> Iterator[Counter[str]]:
    """Begins random faults at random times, whatever the robot is at; counts them by kind."""
    generator, over, kinds = np.random.default_rng(seed), threading.Event(), Counter[str]()

    def run() -> None:
        while not over.wait(generator.uniform(0.5, 8)):
            fault: dict[str, Any] = FAULTS[generator.integers(len(FAULTS))]
            kinds[fault["kind"]] += 1
            send_fault(station, fault | {"seconds": float(generator.uniform(0.2, 5))})

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield kinds
    finally:
        over.set()
        thread.join(20)


def survive(args: Args) -> dict[str, Any]:
    """Episodes under random faults: how each ended, and how long the longest took, with its reset [s]."""
    task, ends, longest, number = load_task(args.task), Counter[str](), 0.0, 0
    with station_process(args.task, args.seed) as station, chaos(station, args.seed) as kinds:
        env, policy, began = RobotEnv(task, station), load_policy(args.policy), time.monotonic()
        while time.monotonic() - began < args.faults:
            started = time.monotonic()
            episode = rollout(env, policy, number)
            longest = max(longest, time.monotonic() - started)
            if not episode.success and not episode.metadata.failure_reason:
                raise RuntimeError(f"Episode {number} ended without a reason.")
            ends[episode.metadata.failure_reason or "success"] += 1
            number += 1
        env.close()
    return {"seconds": args.faults, "episodes": number, "ends": ends, "faults": kinds, "longest_s": round(longest, 1)}


def main(args: Args) -> None:
    """Prints what was measured and writes it as JSON."""
    args.out.mkdir(parents=True, exist_ok=True)
    if args.faults:
        result = survive(args)
        print(json.dumps(result))
        (args.out / "station_faults.json").write_text(json.dumps(result, indent=2) + "\n")
        return
    task = load_task(args.task)
    with station_process(args.task, args.seed) as station:
        result: dict[str, Any] = {"task": args.task, "policy": args.policy, "round_trip": round_trip(station)}
        result["stops"] = stops(task, station)
        result["station"] = successes(lambda: RobotEnv(task, station, cameras=False), args.policy, args.episodes)
    result["in_process"] = successes(lambda: RobotEnv(still(task), cameras=False), args.policy, args.episodes)
    there, here = result["station"], result["in_process"]
    rows = [
        ("/pose and /getstate, median", f"{result['round_trip']['median_ms']} ms", "< 3 ms"),
        ("force stop, longest of 5", f"{result['stops']['force_ms']} ms", "< 100 ms"),
        ("watchdog, longest of 5", f"{result['stops']['watchdog_ms']} ms", "< 100 ms"),
        ("step jitter, p99", f"{there['timing']['p99_ms']} ms", "< 5 ms"),
        ("success on the station", f"{there['successes']}/{args.episodes}, {there['steps']} steps", ""),
        ("success in this process", f"{here['successes']}/{args.episodes}, {here['steps']} steps", ""),
    ]
    print(table(("what", "measured", "bound"), rows))
    (args.out / "station.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
