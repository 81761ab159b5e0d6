"""Benchmarks' tasks: what a picture costs, as their packages draw it and as ours; how often the experts succeed.

    python -m benchmarks.worlds [--episodes 20] [--out benchmarks/results/worlds.json]

Times are of process CPU, so that another busy process changes them little. Successes are counted on state only.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import tyro

from rldg.cli.output import table
from rldg.env.make import make_env
from rldg.env.worlds.simplified import simplified
from rldg.env.worlds.view import placed_camera
from rldg.env.worlds.world_env import WorldEnv
from rldg.evaluation.statistics import wilson
from rldg.policies.expert import Expert
from rldg.robots.cameras import SimulatedCameras
from rldg.rollout import rollout
from rldg.tasks import world_task_names
from rldg.tasks.world import WorldTask

DRAWN = ("metaworld_button_press", "kitchen_light_on")
PIXELS = 128


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    tasks: tuple[str, ...] = ()  # whose experts are tried; all by default
    episodes: int = 20
    out: Path = Path("benchmarks/results/worlds.json")


def milliseconds(do: Callable[[], Any], times: int) -> float:
    """CPU time of a call, the first two left out."""
    for _ in range(2):
        do()
    started = time.process_time()
    for _ in range(times):
        do()
    return round(1000 * (time.process_time() - started) / times, 1)


def drawing(name: str) -> dict[str, float]:
    """Milliseconds per picture, and per control step without one."""
    env = make_env(name)
    assert isinstance(env, WorldEnv) and isinstance(env.task, WorldTask)
    env.reset(seed=0)
    model, data = env.simulation.model, env.simulation.data
    (camera,) = env.task.cameras
    view = placed_camera(env.task.world.views[camera])
    figures = {}
    renderer = mujoco.Renderer(model, PIXELS, PIXELS)

    def as_is() -> None:
        renderer.update_scene(data, camera=view)
        renderer.render()

    figures["package"] = milliseconds(as_is, 4)
    renderer.close()
    for label, drawn in (("no_shadows", model), ("simplified", simplified(model))):
        if label == "no_shadows":
            model.vis.quality.offsamples = 0
        cameras = SimulatedCameras(drawn, {camera: env.task.cameras[camera]}, {camera: view}, markers=True)
        figures[label] = milliseconds(lambda cameras=cameras: cameras.render(data), 20)
        figures[f"{label}_faces"] = int(drawn.mesh_facenum.sum())
        cameras.close()
    env.close()
    blind = make_env(name, cameras=False)
    blind.reset(seed=0)
    figures["step"] = milliseconds(lambda: blind.step(np.zeros(7, np.float32)), 50)
    return figures


def expertise(name: str, episodes: int) -> dict[str, Any]:
    """How often the expert succeeds, and in how many steps."""
    env = make_env(name, cameras=False)
    done = [rollout(env, Expert(), seed) for seed in range(episodes)]
    steps = [len(episode) for episode in done if episode.success]
    return {
        "successes": len(steps),
        "trials": episodes,
        "wilson95": wilson(len(steps), episodes),
        "cycle_steps": round(float(np.mean(steps)), 1) if steps else None,
    }


def main(args: Args) -> None:
    """Prints the tables and writes the JSON."""
    logging.getLogger("gymnasium").setLevel(logging.ERROR)
    drawn = {name: drawing(name) for name in DRAWN}
    columns = ("package", "no_shadows", "simplified", "step")
    print(table(("ms of CPU", *columns), [(name, *(row[c] for c in columns)) for name, row in drawn.items()]))
    experts = {name: expertise(name, args.episodes) for name in args.tasks or world_task_names()}
    rows = [(name, f"{e['successes']}/{e['trials']}", e["cycle_steps"] or "-") for name, e in experts.items()]
    print(table(("expert on", "success", "steps"), rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"milliseconds": drawn, "experts": experts}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
