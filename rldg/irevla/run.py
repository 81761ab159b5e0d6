"""`run`: the stages of iRe-VLA and of its baselines, task by task, in one run folder."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rldg.generalists.octo.checkpoint import load_checkpoint
from rldg.generalists.octo.runtime import prepare_jax
from rldg.irevla.agent import LatentAgent, WholeAgent
from rldg.irevla.config import IrevlaConfig
from rldg.irevla.learner import OnlineLearner, PPOLearner
from rldg.irevla.octo_trunk import OctoTrunk
from rldg.irevla.online import COLLECTED, POLICY, learn_online
from rldg.irevla.sacfd import SACfDAgent, SACfDLearner
from rldg.irevla.supervised import stage_0, stage_2
from rldg.irevla.vector import VectorEnv
from rldg.resolve import IREVLA, final_policy
from rldg.stage import file_hash, stage, write_json

MakeEnvs = Callable[[str, int], VectorEnv]  # a task's name and how many environments


def run(config: IrevlaConfig, out: Path, seed: int, make_envs: MakeEnvs, *, overwrite: bool = False) -> dict[str, Any]:
    """Carries out the stages in `out`, or what is missing of them, and returns what came of each task.

    `out` holds `stage_0` (unless there is a `start`), and for each task `NN_TASK/online` and `NN_TASK/supervised`, each
    a run folder of its own. `out` as a whole is the policy of the last one.

    Raises:
        StageError: `out` holds another run.
        DatasetError, CheckpointError, ContractError: data, checkpoint or task do not fit.
    """
    prepare_jax(config.supervised.cpu_threads)
    inputs = {f"expert_{number}": file_hash(folder) for number, folder in enumerate(config.expert)}
    if config.start:
        inputs["start"] = load_checkpoint(final_policy(config.start)).weight_hash
    identity = {"config": asdict(config)}
    with stage(out, "irevla run", identity, seed=seed, inputs=inputs, overwrite=overwrite) as current:
        if current.finished:
            return current.result
        policy = final_policy(config.start) if config.start else stage_0(config, out / "stage_0", seed)
        collected: list[Path] = []
        results = []
        for number, task in enumerate(config.tasks if config.method != "sft" else (), start=1):
            folder = out / f"{number:02d}_{Path(task).stem}"
            results.append({"task": task} | _online(config, policy, task, folder / "online", seed, make_envs))
            if results[-1]["collected"] and config.method in ("irevla", "freeze"):
                collected.append(folder / "online" / COLLECTED)
            policy = folder / "online" / POLICY
            if config.method != "scratch":
                policy = stage_2(config, policy, collected, folder / "supervised", seed)
        place = str(policy.relative_to(out)) if policy.is_relative_to(out) else str(policy.resolve())
        write_json(out / IREVLA, {"policy": place})
        current.result = {"policy": place, "tasks": results}
        return current.result


def _online(config: IrevlaConfig, policy: Path, task: str, out: Path, seed: int, make_envs: MakeEnvs) -> dict[str, Any]:
    trunk = OctoTrunk(policy)
    envs = make_envs(task, config.online.environments)
    try:
        return learn_online(_learner(config, trunk, seed), envs, config.online, out, seed)
    finally:
        envs.close()


def _learner(config: IrevlaConfig, trunk: OctoTrunk, seed: int) -> OnlineLearner:
    if config.method in ("ppo-replay", "scratch"):
        return PPOLearner(WholeAgent(trunk), config.online, seed)
    if config.online.algorithm == "sacfd":
        return SACfDLearner(SACfDAgent(trunk), config.online, seed)
    return PPOLearner(LatentAgent(trunk), config.online, seed)
