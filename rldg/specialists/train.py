"""`train`: a specialist for one task, from demonstrations to confirmed weights."""

import dataclasses
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

from rldg.engines import Engine, LocalEngine
from rldg.specialists.actor import Actor, MakeEnv, environment
from rldg.specialists.actors import Actors
from rldg.specialists.arrays import Tree
from rldg.specialists.candidate import Tried
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.journal import journal
from rldg.specialists.judging import AsJudged, Judging
from rldg.specialists.memory import check_memory
from rldg.specialists.policy import SpecialistPolicy, load_specialist, save_specialist
from rldg.specialists.recipes import recipe
from rldg.specialists.rounds import demonstrations_request
from rldg.specialists.spec import AgentSpec
from rldg.stage import stage
from rldg.tasks import load_station
from rldg.tasks.task import Task

SNAPSHOTS = "snapshots"
ROBOT = "robot"  # the Ray resource of a machine that an actor may run on
SHARE_SECONDS = 900  # for an actor's share of a round, which takes seconds; a person or a robot may take any time
SIMULATED = ("", "teleoperator", "expert")


def single_threaded_xla() -> None:
    """Gives XLA one thread, if it has not started: matrices this small gain nothing from more, and the actor's core
    stays free. It holds for the whole process.
    """
    os.environ.setdefault("NPROC", "1")


def train(
    task: Task,
    out: Path,
    config: SpecialistConfig | None = None,
    seed: int = 0,
    *,
    overwrite: bool = False,
    station: str = "sim",
    make_env: MakeEnv | None = None,
    actor: type[Actor] = Actor,
    judging: Judging | None = None,
    engine: Engine | None = None,
) -> SpecialistPolicy:
    """Trains a specialist in the run folder `out`, continues an unfinished training there, or loads a finished one.

    Processes overlap: actors collect a round with the weights of the round before, the learner (this process) learns
    from all rounds before that. The weights depend on the configuration and the seed alone: not on the engine, on the
    number of actors, on speeds, nor on which of them died meanwhile.

    Args:
        task: what to learn; its observations must hold what `config` has the agent see.
        out: run folder: `specialist.npz`, `specialist.json`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`,
            `snapshots/`, `train.log`.
        config: algorithm, sizes, rates and budget; by default the task's `recipe`.
        seed: of scenes, demonstrations, weights and draws.
        overwrite: whether to replace another run in `out`.
        station: where the actors are: a station's name, or the path of its YAML.
        make_env: the environment, made in the actors' processes; a picklable function. By default the
            task's own, with the cameras that the agent sees through.
        actor: what acts in these processes.
        judging: who judges stored steps anew as the training goes on; by default nobody.
        engine: where the actors are, and how many; one process of this machine by default.

    Raises:
        StageError: `out` holds another configuration or is in use.
        TrainingError: the replay would not fit into memory.
        RldgError: the operator succeeds too rarely, or actors keep dying.
    """
    config = config or recipe(task)
    spec, judging = AgentSpec.of(config, task), judging or AsJudged()
    cameras = tuple(name for name, _ in spec.cameras)
    make_env = make_env or partial(environment, cameras=cameras, station=station)
    configuration = {"task": task.name, "task_hash": task.hash, **dataclasses.asdict(config)}
    if station != "sim":
        configuration["station"] = station
    with stage(out, "train", configuration, seed=seed, overwrite=overwrite) as current, journal(out):
        if not current.finished:
            check_memory(config, spec, task, judging.step_bytes)
            alone = config.operator.partition(":")[0] in SIMULATED and load_station(station).backend == "mujoco"
            timeout = SHARE_SECONDS if alone else math.inf
            with Actors(actor(make_env, task, config, seed), engine or LocalEngine(1), timeout) as actors:
                kept, current.result = _run(task, out, config, seed, actors, judging)
            _save(out, task, config, kept.actor, kept.updates)
    return load_specialist(out)


def _run(
    task: Task, out: Path, config: SpecialistConfig, seed: int, actors: Actors, judging: Judging
) -> tuple[Tried, dict[str, Any]]:
    checkpoints = Checkpoints(out / "checkpoints")
    saved = checkpoints.latest()
    if saved is None and config.demonstrations:  # they are made while XLA compiles
        actors.begin(demonstrations_request(0, config.demonstrations))
    from rldg.specialists.learners import make_learner  # JAX: two seconds, in which the actors are at work already
    from rldg.specialists.loop import Loop

    loop = Loop(task, config, make_learner(config, AgentSpec.of(config, task), seed), judging, actors, out)
    if saved is None:
        loop.demonstrated()
    else:
        loop.restore(saved)

    def snapshot(env_steps: int, actor: Tree, updates: int) -> None:
        _save(out / SNAPSHOTS / f"{env_steps:07d}", task, config, actor, updates)

    return loop.run(checkpoints, snapshot)


def _save(folder: Path, task: Task, config: SpecialistConfig, actor: Tree, updates: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_specialist(folder, SpecialistPolicy.of(config, task, actor, checkpoint_step=updates), task)
