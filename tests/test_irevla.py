"""iRe-VLA on a toy: the trunk stays frozen, latents are cached, a kill changes nothing, successes are RLDS."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from rldg.cli.data import validate
from rldg.data.reader import open_dataset
from rldg.errors import CheckpointError, ContractError, StageError, TrainingError, UsageError
from rldg.generalists.octo.checkpoint import load_checkpoint
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.train import finetune
from rldg.generalists.octo.weights import flat
from rldg.irevla import learner, online
from rldg.irevla.agent import LatentAgent, WholeAgent
from rldg.irevla.config import Convergence, IrevlaConfig, OnlineConfig, PPOConfig, SACfDConfig, read_config
from rldg.irevla.episodes import play
from rldg.irevla.learner import PPOLearner
from rldg.irevla.octo_trunk import OctoTrunk
from rldg.irevla.online import COLLECTED, POLICY, learn_online
from rldg.irevla.run import run
from rldg.irevla.sacfd import SACfDAgent, SACfDLearner
from rldg.resolve import load_policy
from tests.seeing_robot import expert_data, seeing_env, seeing_envs

SUPERVISED = FinetuneConfig(model="irevla-debug", steps=60, batch_size=16, checkpoint_every=60, learning_rate=1e-2)
ONLINE = OnlineConfig(
    episodes=6,
    environments=3,
    keep=4,
    ppo=PPOConfig(minibatch=16, epochs=2),
    convergence=Convergence(window=2, success=1.1, iterations=3),
)
RETRAIN = replace(SUPERVISED, mode="lora", lora_rank=2, steps=4, checkpoint_every=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return expert_data(tmp_path_factory.mktemp("irevla") / "expert")


@pytest.fixture(scope="module")
def start(expert: Path) -> Path:
    """A generalist after stage 0."""
    out = expert.parent / "stage_0"
    finetune(SUPERVISED, [expert], out, 0)
    return out


def config(expert: Path, **changes: object) -> IrevlaConfig:
    given = {"tasks": ("seeing",), "supervised": SUPERVISED, "online": ONLINE, "retrain": RETRAIN}
    return IrevlaConfig(**{"expert": (expert,)} | given | changes)  # pyright: ignore[reportArgumentType]


def ppo(start: Path) -> PPOLearner:
    return PPOLearner(LatentAgent(OctoTrunk(start)), ONLINE, 0)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return {path: np.asarray(leaf) for path, leaf in flat(load_checkpoint(folder).params).items()}


def test_stage_1_leaves_the_trunk_as_it_was_and_keeps_its_successes(start: Path, tmp_path: Path) -> None:
    result = learn_online(ppo(start), seeing_envs("seeing", 3), ONLINE, tmp_path, seed=0)
    before, after = weights(start), weights(tmp_path / POLICY)
    assert before.keys() == after.keys()
    for path, leaf in before.items():
        same = leaf.tobytes() == after[path].tobytes()
        assert same == path.startswith("octo_transformer/"), path
    assert result["ended"] == "budget"
    assert result["collected"] > 0
    assert len(list((tmp_path / "successes").glob("*.record"))) == min(4, result["collected"])
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [0, 1, 2]

    data = open_dataset(tmp_path / COLLECTED)
    assert len(data) == result["collected"] == len(data.successes())
    metadata = next(iter(data)).metadata
    assert metadata["policy_kind"] == "irevla"
    assert metadata["checkpoint_hash"] == load_checkpoint(start).weight_hash
    assert metadata["stochastic"]
    assert validate.main(validate.Args(tmp_path / COLLECTED)) == 0


def test_cached_latents_are_what_the_trunk_makes_of_the_pictures(start: Path) -> None:
    trunk = OctoTrunk(start)
    agent, envs = LatentAgent(trunk), seeing_envs("seeing", 2)
    trunk.begin(envs.task.instruction)
    params = agent.init(0, 0.3)
    played = play(envs, agent, params, [5, 6, 7])
    for one in played:
        pictures = [step.observation for step in one.transitions]
        again = trunk.latents([trunk.frame(picture) for picture in pictures])
        np.testing.assert_allclose(np.stack(one.seen[: len(one)]), again, atol=1e-5)
    data = learner.samples(agent, params, played, ONLINE.ppo)
    assert len(data.action) == sum(map(len, played))
    # Nothing has moved yet: actions are as likely as they were.
    log_prob, value = learner.judged(agent.network, params, data.seen, data.action)
    np.testing.assert_allclose(log_prob, data.log_prob, atol=1e-5)
    np.testing.assert_allclose(value, data.value, atol=1e-5)


def test_an_episode_does_not_depend_on_the_environments_beside_it(start: Path) -> None:
    trunk = OctoTrunk(start)
    agent = LatentAgent(trunk)
    trunk.begin("x")
    params = agent.init(0, 0.3)
    alone = play(seeing_envs("seeing", 1), agent, params, [5, 6, 7])
    together = play(seeing_envs("seeing", 3), agent, params, [5, 6, 7])
    for one, other in zip(alone, together, strict=True):
        assert one.seed == other.seed
        np.testing.assert_allclose(np.stack(one.action), np.stack(other.action), atol=1e-4)


def test_the_agent_that_learns_is_the_policy_that_is_saved(start: Path, tmp_path: Path) -> None:
    trunk = OctoTrunk(start)
    agent, env = LatentAgent(trunk), seeing_env()
    trunk.begin(env.task.instruction)
    params = agent.init(0, 0.3)
    played = play(seeing_envs("seeing", 1), agent, params, [3], explore=False)[0]
    agent.save(tmp_path / "policy", params, 7)
    policy = load_policy(str(tmp_path / "policy"))
    policy.reset(env.task, env.task.instruction, seed=3)
    for step in played.transitions:
        np.testing.assert_allclose(policy.act(step.observation)[0], step.action, atol=1e-5)
    assert policy.metadata.checkpoint_step == 7


def test_the_whole_model_learns_where_that_is_asked_for(start: Path, tmp_path: Path) -> None:
    small = replace(ONLINE, convergence=replace(ONLINE.convergence, iterations=1))
    learn_online(PPOLearner(WholeAgent(OctoTrunk(start)), small, 0), seeing_envs("seeing", 3), small, tmp_path, seed=0)
    before, after = weights(start), weights(tmp_path / POLICY)
    moved = {path for path, leaf in before.items() if not np.array_equal(leaf, after[path])}
    assert any(path.startswith("octo_transformer/observation_tokenizers") for path in moved)
    assert any(path.startswith("heads_action") for path in moved)


SACFD = replace(
    ONLINE,
    algorithm="sacfd",
    sacfd=SACfDConfig(demonstrations=3, updates_per_step=1, updates_per_call=8, hidden=(16, 16), batch_size=16),
)


def test_sacfd_learns_on_latents_and_leaves_the_generalist_to_stage_2(start: Path, tmp_path: Path) -> None:
    agent = SACfDAgent(OctoTrunk(start))
    assert list(agent.active) == [0, 1]  # the expert neither turns nor grasps, and goes down at full speed always
    learning = SACfDLearner(agent, SACFD, 0)
    result = learn_online(learning, seeing_envs("seeing", 3), SACFD, tmp_path / "whole", seed=0)
    before, after = weights(start), weights(tmp_path / "whole" / POLICY)
    assert {path: leaf.tobytes() for path, leaf in before.items()} == {p: x.tobytes() for p, x in after.items()}
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert result["iterations"] == len(lines) == 3
    assert "critic_loss" in lines[-1]
    # Restored in the middle, it ends the same.
    other = SACfDLearner(SACfDAgent(OctoTrunk(start)), SACFD, 0)
    other.restore(learning.arrays())
    assert {n: a.tobytes() for n, a in other.arrays().items()} == {n: a.tobytes() for n, a in learning.arrays().items()}
    # A step's latent is that of the demonstrations and of the online half alike: flat, float32.
    with pytest.raises(TrainingError, match="demonstrations"):
        short = seeing_envs("seeing", 3)
        for env in short.envs:
            env.task = env.task.model_copy(update={"horizon": 1})
        learn_online(SACfDLearner(SACfDAgent(OctoTrunk(start)), SACFD, 0), short, SACFD, tmp_path / "never", seed=0)


def _run_and_die(expert: Path, out: Path, at: int) -> None:
    """Runs until iteration `at` is on disk, and dies."""
    saved = online._save

    def save(*args: object) -> None:
        saved(*args)  # pyright: ignore[reportArgumentType]
        if len(args[2]) == at:  # pyright: ignore[reportArgumentType]
            os.kill(os.getpid(), signal.SIGKILL)

    online._save = save
    run(config(expert), out, 0, seeing_envs)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_very_weights_of_an_uninterrupted_one(expert: Path, tmp_path: Path) -> None:
    whole = run(config(expert), tmp_path / "whole", 0, seeing_envs)
    process = multiprocessing.get_context("spawn").Process(target=_run_and_die, args=(expert, tmp_path / "killed", 2))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    resumed = run(config(expert), tmp_path / "killed", 0, seeing_envs)
    assert resumed == whole
    for folder in ("stage_0", f"01_seeing/online/{POLICY}", "01_seeing/supervised"):
        before, after = weights(tmp_path / "whole" / folder), weights(tmp_path / "killed" / folder)
        assert {path: leaf.tobytes() for path, leaf in before.items()} == {p: x.tobytes() for p, x in after.items()}
    data = [open_dataset(tmp_path / name / "01_seeing" / "online" / COLLECTED) for name in ("whole", "killed")]
    assert [episode.metadata["seed"] for episode in data[0]] == [episode.metadata["seed"] for episode in data[1]]
    # The run is a policy: that of its last stage.
    policy = load_policy(str(tmp_path / "whole"))
    last = load_checkpoint(tmp_path / "whole" / "01_seeing" / "supervised")
    assert policy.metadata.weight_hash == last.weight_hash
    with pytest.raises(StageError, match="method"):
        run(config(expert, method="freeze"), tmp_path / "whole", 0, seeing_envs)


@pytest.mark.slow
def test_baselines_do_what_they_are_called(expert: Path, tmp_path: Path) -> None:
    quick = replace(ONLINE, convergence=replace(ONLINE.convergence, iterations=1))
    arms = {}
    for method in ("sft", "freeze", "ppo-replay", "scratch"):
        result = run(config(expert, method=method, online=quick), tmp_path / method, 0, seeing_envs)
        arms[method] = weights(tmp_path / method / result["policy"])
    trunks = {
        method: {path: leaf for path, leaf in tree.items() if path.startswith("octo_transformer/")}
        for method, tree in arms.items()
    }

    def same(a: str, b: str) -> bool:
        return all(np.array_equal(leaf, trunks[b][path]) for path, leaf in trunks[a].items())

    assert same("sft", "freeze")
    assert not same("sft", "ppo-replay")
    assert not same("sft", "scratch")
    output = "heads_action/mlp/output/kernel"
    assert not np.array_equal(arms["sft"][output], arms["freeze"][output])
    assert not (tmp_path / "scratch" / "01_seeing" / "supervised").exists()
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(np.isfinite(leaf).all()), arms))


def test_what_does_not_fit_is_refused(expert: Path, start: Path, tmp_path: Path) -> None:
    other = seeing_envs("seeing", 1)
    other.task = other.task.model_copy(update={"rate": 3.0})
    with pytest.raises(ContractError, match="rate"):
        learn_online(ppo(start), other, ONLINE, tmp_path / "a", seed=0)
    finetune(replace(SUPERVISED, model="octo-debug", steps=1), [expert], tmp_path / "diffusion", 0)
    with pytest.raises(CheckpointError, match="token_learner"):
        OctoTrunk(tmp_path / "diffusion")
    with pytest.raises(UsageError, match="at least one task"):
        config(expert, tasks=())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("expert: [a]\ntask: [b]", "task"),
        ("expert: [a]\ntasks: [b]\nonline: {ppo: {lambda: 1}}", "lambda"),
        ("expert: [a]\ntasks: [b]\nmethod: magic", "method"),
        ("expert: []", "at least one data set"),
        ("{", "cannot be read"),
        ("", "the file"),
    ],
)
def test_a_file_that_is_wrong_is_said_to_be(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_config(path)
