"""Stage 1: reinforcement learning on one task, until it converges; its successes become data."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rldg.env.types import ActionContract
from rldg.errors import ContractError
from rldg.generalists.sinks import open_sinks
from rldg.irevla.agent import Agent
from rldg.irevla.config import OnlineConfig
from rldg.irevla.convergence import end
from rldg.irevla.episodes import Explorer, Played, play
from rldg.irevla.learner import OnlineLearner
from rldg.irevla.successes import Successes
from rldg.irevla.vector import VectorEnv
from rldg.rollout.episode import Episode
from rldg.rollout.loop import recorded_episode
from rldg.specialists.arrays import part, prefixed, read_arrays, write_arrays
from rldg.stage import stage
from rldg.workers import episode_seed

COLLECTED, POLICY = "collected", "policy"  # data set of the successes, checkpoint of the generalist
STATE = "state.npz"
LEARNER = "learner."


def learn_online(
    learner: OnlineLearner, envs: VectorEnv, config: OnlineConfig, out: Path, seed: int, *, overwrite: bool = False
) -> dict[str, Any]:
    """Learns in the run folder `out`, goes on with what was begun there, or returns what had come of it.

    `out` then holds the generalist (`policy`), an RLDS data set of the newest successes (`collected`, unless there were
    none), `metrics.jsonl` and `stage.json`. The state is kept after every iteration, which begins with new episodes, so
    that a run that was killed ends with the very weights of an uninterrupted one.

    Returns `iterations`, `env_steps`, `episodes`, `collected`, `success` (share in the last iterations) and `ended`,
    why it ended.

    Raises:
        ContractError: the generalist was trained for other actions or pictures than the task has.
        StageError: `out` holds another run.
    """
    _check(learner.agent, envs)
    identity = {"task": envs.task.name, "task_hash": envs.task.hash, "online": asdict(config)}
    inputs = {"policy": learner.agent.trunk.weight_hash}
    with stage(out, "irevla online", identity, seed=seed, inputs=inputs, overwrite=overwrite) as run:
        if not run.finished:
            run.result = _learn(learner, envs, config, out, seed, run.began)
            (out / STATE).unlink(missing_ok=True)
    return run.result


def _learn(
    learner: OnlineLearner, envs: VectorEnv, config: OnlineConfig, out: Path, seed: int, began: str
) -> dict[str, Any]:
    agent = learner.agent
    agent.trunk.begin(envs.task.instruction)
    history, added = _restored(learner, envs, out)
    successes = Successes(out / "successes", config.keep, added)
    sinks = open_sinks(out, len(history), wandb="", configuration={})
    with tqdm(total=config.convergence.iterations, initial=len(history), desc=envs.task.name, unit="iteration") as bar:
        while not (reason := end(np.array([row[0] for row in history]), config.convergence)):
            iteration = len(history)
            seeds = [episode_seed(seed, iteration * config.episodes + index) for index in range(config.episodes)]
            played = play(envs, agent, learner.params, seeds)
            successes.add(_episodes(agent, envs, played, iteration, began))
            figures = learner.learn(played, np.random.default_rng([seed, iteration]))
            share, steps = sum(one.success for one in played) / len(played), float(sum(map(len, played)))
            history.append((share, steps))
            for sink in sinks:  # a resume drops the lines of iterations that are done again
                sink.write(iteration, {"success": share, "steps": steps} | figures)
            _save(out, learner, history, successes.count)
            successes.forget()
            bar.set_postfix_str(f"success {share:.2f}")
            bar.update()
    for sink in sinks:
        sink.close()
    learner.save(out / POLICY, len(history))
    return {
        "iterations": len(history),
        "episodes": len(history) * config.episodes,
        "env_steps": int(sum(row[1] for row in history)),
        "collected": successes.write(out / COLLECTED),
        "success": float(np.mean([row[0] for row in history[-config.convergence.window :]])),
        "ended": reason,
    }


def _check(agent: Agent, envs: VectorEnv) -> None:
    wanted, given = ActionContract.of(envs.task), agent.trunk.contract
    if given != wanted:
        raise ContractError(f"The generalist acts by {given}, but task '{envs.task.name}' takes {wanted}.")
    for camera, size in agent.trunk.image_sizes.items():
        if camera not in envs.camera_sizes or size not in (0, envs.camera_sizes[camera]):
            raise ContractError(
                f"The generalist needs '{camera}' at {size} px; task '{envs.task.name}' gives {envs.camera_sizes}."
            )


def _episodes(agent: Agent, envs: VectorEnv, played: Sequence[Played], iteration: int, began: str) -> list[Episode]:
    """The successes among what was played, as any other roll-out records them."""
    explorer = Explorer(agent, iteration)
    found = []
    for one in played:
        if one.success:
            name = f"{envs.task.name}-irevla-{iteration:04d}-{one.seed}"
            episode = recorded_episode(envs, explorer, one.seed, one.transitions, episode_id=name)
            found.append(replace(episode, metadata=replace(episode.metadata, time=began)))
    return found


def _restored(learner: OnlineLearner, envs: VectorEnv, out: Path) -> tuple[list[tuple[float, float]], int]:
    """(Success, steps) of each iteration so far, and how many successes there were; the learner as it was after."""
    if not (out / STATE).exists():
        learner.begin(envs)
        return [], 0
    arrays = read_arrays(out / STATE)
    learner.restore(part(LEARNER, arrays))
    return [(row[0], row[1]) for row in arrays["history"].tolist()], int(arrays["added"])


def _save(out: Path, learner: OnlineLearner, history: list[tuple[float, float]], added: int) -> None:
    counted = {"history": np.array(history), "added": np.array(added)}
    write_arrays(out / STATE, prefixed(LEARNER, learner.arrays()) | counted)
