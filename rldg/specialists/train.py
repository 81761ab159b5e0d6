"""`train`: a specialist for one task, from demonstrations to confirmed weights."""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from rldg.env.types import ActionContract
from rldg.errors import RldgError
from rldg.specialists.actor import TRANSITIONS
from rldg.specialists.actor_process import ActorProcess, MakeEnv, round_request, state_environment
from rldg.specialists.arrays import part, prefixed
from rldg.specialists.candidate import Selection, Tried
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.policy import SpecialistPolicy, load_specialist, save_specialist
from rldg.specialists.progress import Progress
from rldg.specialists.spec import AgentSpec
from rldg.stage import stage
from rldg.tasks.task import Task

RECENT = 20  # exploration episodes that the reported success share looks back on


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
    make_env: MakeEnv = state_environment,
) -> SpecialistPolicy:
    """Trains a specialist in the run folder `out`, continues an unfinished training there, or loads a finished one.

    Two processes overlap: an actor collects a round with the weights of the round before, the learner learns from all
    rounds before that. The schedule is counted in steps, never in seconds, so that equal seeds give equal weights.

    Args:
        task: what to learn; its observations must hold the privileged target pose.
        out: run folder: `specialist.npz`, `specialist.json`, `metrics.jsonl`, `tensorboard/`, `checkpoints/`.
        config: sizes, rates and budget.
        seed: of scenes, demonstrations, weights and draws.
        overwrite: whether to replace another run in `out`.
        make_env: the environment, made in the actor's process; a picklable function.

    Raises:
        StageError: `out` holds another configuration or is in use.
        RldgError: the teleoperator succeeds too rarely, or the actor's process died.
    """
    config = config or SpecialistConfig()
    configuration = {"task": task.name, "task_hash": task.hash, **dataclasses.asdict(config)}
    with stage(out, "train", configuration, seed=seed, overwrite=overwrite) as current:
        if not current.finished:
            with ActorProcess(make_env, task, config, seed) as actor:
                kept, current.result = _run(task, out, config, seed, actor)
            spec, contract = AgentSpec.of(config, task), ActionContract.of(task)
            policy = SpecialistPolicy(kept.actor, spec, contract, checkpoint_step=kept.updates)
            save_specialist(out, policy, task)
    return load_specialist(out)


def _run(
    task: Task, out: Path, config: SpecialistConfig, seed: int, actor: ActorProcess
) -> tuple[Tried, dict[str, Any]]:
    started = time.monotonic()
    checkpoints = Checkpoints(out / "checkpoints")
    saved = checkpoints.latest()
    if saved is None:
        actor.send({})  # the demonstrations are made while XLA compiles
    from rldg.specialists.learner import Learner  # JAX: two seconds, in which the actor is at work already

    learner = Learner(config, AgentSpec.of(config, task), seed)
    if saved is None:
        answer = actor.receive()
        if len(answer["lengths"]) < config.demonstrations:
            raise RldgError(
                f"The teleoperator succeeded {len(answer['lengths'])} times in '{task.name}', "
                f"{config.demonstrations} demonstrations are needed; "
                f"`rldg evaluate {task.name} --policy teleoperator` shows why."
            )
        learner.add(part(TRANSITIONS, answer), prior=True)
        first = Tried(learner.average, 0)
        selection, recent, episodes, before = Selection(first, first), [], 0, 0.0
        request = round_request(learner.actor, learner.average, 0, 0, most=0)
    else:
        learner.restore(saved)
        selection, recent = Selection.restore(saved), saved["recent"].tolist()
        episodes, before = int(saved["episodes"]), float(saved["wall_seconds"])
        request = part("request.", saved)

    progress = Progress(out, learner.env_steps, config.max_env_steps)
    saved_at = time.monotonic()
    try:
        while True:
            actor.send(request)
            metrics = learner.learn()
            answer = actor.receive()
            learner.add(part(TRANSITIONS, answer), prior=False)
            episodes += len(answer["lengths"])
            recent = (recent + answer["successes"].tolist())[-RECENT:]
            successor = Tried(learner.average, learner.updates)
            selection.record(int(answer["tried"]), answer["success_lengths"].tolist(), successor)
            wall = before + time.monotonic() - started
            progress.report(
                {
                    "env_steps": learner.env_steps,
                    "updates": learner.updates,
                    "episodes": episodes,
                    "wall_seconds": wall,
                    "success": float(np.mean(recent)),
                    "episode_steps": float(np.mean(answer["lengths"])),
                    "candidate_successes": len(selection.candidate.lengths),
                    **metrics,
                }
            )
            confirmed = len(selection.candidate.lengths) >= config.confirm_episodes
            if confirmed or learner.env_steps >= config.max_env_steps:
                break
            most = config.confirm_per_round if learner.updates >= config.least_updates else 0
            request = round_request(learner.actor, selection.candidate.actor, episodes, selection.trials, most)
            if time.monotonic() - saved_at >= config.checkpoint_seconds:
                rest = {"recent": np.array(recent), "episodes": np.array(episodes), "wall_seconds": np.array(wall)}
                arrays = learner.arrays() | selection.arrays() | rest | prefixed("request.", request)
                checkpoints.save(learner.updates, arrays, learner.replay.arrays())
                saved_at = time.monotonic()
    finally:
        progress.close()
    best = selection.best
    return best, {
        "train_seconds": round(before + time.monotonic() - started, 2),
        "env_steps": learner.env_steps,
        "updates": learner.updates,
        "demonstration_steps": learner.prior_steps,
        "confirmed": confirmed,
        "successes_in_a_row": len(best.lengths),
        "median_steps": float(np.median(best.lengths)) if best.lengths else None,
        "weights_from_update": best.updates,
    }
