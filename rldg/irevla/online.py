"""Stage 1: reinforcement learning on one task by PPO, until it converges; its successes become data."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from rldg.env.types import ActionContract
from rldg.errors import ContractError
from rldg.generalists.octo.checkpoint import load_state, save_state
from rldg.generalists.sinks import open_sinks
from rldg.irevla import ppo
from rldg.irevla.agent import Agent
from rldg.irevla.config import OnlineConfig
from rldg.irevla.convergence import end
from rldg.irevla.episodes import Explorer, Played, play
from rldg.irevla.gae import advantages
from rldg.irevla.ppo import Learned, Network, Params, Samples
from rldg.irevla.successes import Successes
from rldg.irevla.vector import VectorEnv
from rldg.rollout.loop import recorded_episode
from rldg.stage import stage
from rldg.workers import episode_seed

COLLECTED, POLICY = "collected", "policy"  # data set of the successes, checkpoint of the generalist
ROWS = 256  # steps whose values are computed together


def learn_online(
    agent: Agent, envs: VectorEnv, config: OnlineConfig, out: Path, seed: int, *, overwrite: bool = False
) -> dict[str, Any]:
    """Learns in the run folder `out`, goes on with what was begun there, or returns what had come of it.

    `out` then holds the generalist (`policy`), an RLDS data set of the newest successes (`collected`, unless there were
    none), `metrics.jsonl` and `stage.json`. The state is kept after every iteration, which begins with new episodes, so
    that a run that was killed ends with the very weights of an uninterrupted one.

    Returns `iterations`, `env_steps`, `episodes`, `collected`, `success` (share in the last iterations) and `ended`,
    why it ended.

    Raises:
        ContractError: the generalist was trained for other actions than the task takes.
        StageError: `out` holds another run.
    """
    _check(agent, envs)
    identity = {"task": envs.task.name, "task_hash": envs.task.hash, "online": asdict(config)}
    inputs = {"policy": agent.trunk.weight_hash}
    with stage(out, "irevla online", identity, seed=seed, inputs=inputs, overwrite=overwrite) as run:
        if not run.finished:
            run.result = _learn(agent, envs, config, out, seed, run.began)
    return run.result


def _learn(agent: Agent, envs: VectorEnv, config: OnlineConfig, out: Path, seed: int, began: str) -> dict[str, Any]:
    agent.trunk.begin(envs.task.instruction)
    learned, history, added = _restored(agent, config, out, seed)
    successes = Successes(out / "successes", config.keep, added)
    sinks = open_sinks(out, len(history), wandb="", configuration={})
    with tqdm(total=config.convergence.iterations, initial=len(history), desc=envs.task.name, unit="iteration") as bar:
        while not (reason := end(np.array([row[0] for row in history]), config.convergence)):
            iteration = len(history)
            seeds = [episode_seed(seed, iteration * config.episodes + index) for index in range(config.episodes)]
            played = play(envs, agent, learned.params, seeds)
            successes.add(_episodes(agent, envs, played, iteration, began))
            data = samples(agent, learned.params, played, config.ppo)
            generator = np.random.default_rng([seed, iteration])
            learned, figures = ppo.update(config.ppo, agent.network, learned, data, generator)
            share = sum(one.success for one in played) / len(played)
            history.append((share, float(len(data.action))))
            for sink in sinks:  # a resume drops the lines of iterations that are done again
                sink.write(iteration, {"success": share, "steps": float(len(data.action))} | figures)
            _save(out, learned, history, successes.count, config)
            successes.forget()
            bar.set_postfix_str(f"success {share:.2f}")
            bar.update()
    for sink in sinks:
        sink.close()
    agent.save(out / POLICY, learned.params, len(history))
    recent = [row[0] for row in history[-config.convergence.window :]]
    return {
        "iterations": len(history),
        "episodes": len(history) * config.episodes,
        "env_steps": int(sum(row[1] for row in history)),
        "collected": successes.write(out / COLLECTED),
        "success": float(np.mean(recent)),
        "ended": reason,
    }


def _check(agent: Agent, envs: VectorEnv) -> None:
    wanted, given = ActionContract.of(envs.task), agent.trunk.contract
    if given != wanted:
        raise ContractError(f"The generalist acts by {given}, but task '{envs.task.name}' takes {wanted}.")
    for camera, size in agent.trunk.image_sizes.items():
        if envs.camera_sizes.get(camera) not in (size, None if size else 0):
            raise ContractError(
                f"The generalist needs '{camera}' at {size} px; task '{envs.task.name}' gives {envs.camera_sizes}."
            )


def _episodes(agent: Agent, envs: VectorEnv, played: Sequence[Played], iteration: int, began: str) -> list[Any]:
    """The successes among what was played, as any other roll-out records them."""
    explorer = Explorer(agent, iteration)
    found = []
    for one in played:
        if one.success:
            name = f"{envs.task.name}-irevla-{iteration:04d}-{one.seed}"
            episode = recorded_episode(envs, explorer, one.seed, one.transitions, episode_id=name)
            found.append(replace(episode, metadata=replace(episode.metadata, time=began)))
    return found


def samples(agent: Agent, params: Params, played: Sequence[Played], config: ppo.PPOConfig) -> Samples:
    """The steps of whole episodes as PPO takes them; no picture is looked at again."""
    seen = agent.stacked([row for one in played for row in one.seen])
    action = np.concatenate([np.stack([*one.action, one.action[-1]]) for one in played])
    log_prob, value = judged(agent.network, params, seen, action)
    # Every episode has a row more than it has steps.
    last = np.concatenate([np.arange(len(one) + 1) == len(one) for one in played])
    before, after = np.flatnonzero(~last), np.flatnonzero(~last) + 1
    steps = [transition for one in played for transition in one.transitions]
    reward = np.array([step.reward for step in steps], np.float32)
    terminal = np.array([step.terminated for step in steps])
    found = advantages(reward, value[before], value[after], terminal, last[after], config.discount, config.trace)
    taken = jax.tree.map(lambda leaf: leaf[before], seen)
    return Samples(taken, action[before], log_prob[before], value[before], found, found + value[before])


def judged(network: Network, params: Params, seen: Any, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities of actions, and values, (n,) each; in parts of one size, compiled once."""
    count = len(action)
    parts = []
    for first in range(0, count, ROWS):
        rows = np.minimum(np.arange(first, first + ROWS), count - 1)
        parts.append(_judged(network, params, jax.tree.map(lambda leaf, rows=rows: leaf[rows], seen), action[rows]))
    log_prob, value = (np.concatenate([np.asarray(part[index]) for part in parts])[:count] for index in (0, 1))
    return log_prob, value


def _judge(network: Network, params: Params, seen: Any, action: Any) -> tuple[Any, Any]:
    policy, value = network(params, seen)
    return policy.log_prob(action), value


_judged = jax.jit(_judge, static_argnums=0)


def _restored(agent: Agent, config: OnlineConfig, out: Path, seed: int) -> tuple[Learned, list[Any], int]:
    """Parameters and optimiser, (success, steps) of the iterations so far, and how many successes there were."""
    fresh = ppo.start(config.ppo, agent.init(seed, config.initial_std))
    room = np.zeros((config.convergence.iterations, 2))
    found = load_state(out, {"learned": tuple(fresh), "done": 0, "history": room, "added": 0})
    learned = Learned(*jax.tree.map(jax.numpy.asarray, found["learned"]))
    return learned, [tuple(row) for row in found["history"][: found["done"]].tolist()], found["added"]


def _save(out: Path, learned: Learned, history: list[Any], added: int, config: OnlineConfig) -> None:
    room = np.zeros((config.convergence.iterations, 2))
    room[: len(history)] = history
    learned = jax.tree.map(np.asarray, tuple(learned))
    save_state(out, {"learned": learned, "done": len(history), "history": room, "added": added})
