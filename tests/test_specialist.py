"""What training a specialist promises: it learns, it is reproducible, and no kill loses more than seconds."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from rldg import geometry
from rldg.errors import CheckpointError, ContractError, StorageError
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.specialists import SpecialistConfig, load_specialist
from rldg.specialists.actor import Actor, scene_seed
from rldg.specialists.arrays import from_named_arrays, named_arrays, read_arrays, write_arrays
from rldg.specialists.checkpoint import Checkpoints
from rldg.specialists.features import features
from rldg.specialists.judging import AsJudged
from rldg.specialists.learner import Learner
from rldg.specialists.loop import Loop
from rldg.specialists.networks import forward, init_layers
from rldg.specialists.policy import SpecialistPolicy, save_specialist
from rldg.specialists.recipes import recipe
from rldg.specialists.replay import GrowingArray, Replay, transitions
from rldg.specialists.rounds import DEMONSTRATE, demonstrations_request, divide, merge, round_request
from rldg.specialists.spec import AgentSpec
from rldg.specialists.train import train
from rldg.tasks import load_task
from tests.point_robot import point_env, point_task

POINT = SpecialistConfig(
    demonstrations=5,
    hidden=(64, 64),
    batch_size=64,
    updates_per_step=4,
    updates_per_call=40,
    actor_period=2,
    round_steps=50,
    average_updates=50,
    least_updates=0,
    confirm_episodes=60,
    confirm_per_round=30,
    max_env_steps=4000,
    learning_rate=1e-3,
)
TINY = dataclasses.replace(
    POINT,
    demonstrations=2,
    hidden=(16, 16),
    batch_size=16,
    round_steps=10,
    max_env_steps=500,
    checkpoint_seconds=0.0,
    confirm_episodes=10_000,
    actor_period=1,
)
SPEC = AgentSpec(actions=6)
TRAIN_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.point_robot import point_env, point_task
from tests.test_specialist import TINY
from rldg.specialists import train as training

save, saved = training.Checkpoints.save, []

def save_then_die(*arguments):
    save(*arguments)
    saved.append(arguments)
    if len(saved) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    training.Checkpoints.save = save_then_die
    training.train(point_task(), Path(sys.argv[1]), TINY, seed=3, make_env=point_env)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("point")
    train(point_task(), folder, POINT, seed=1, make_env=point_env)
    return folder


def learning_curve(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("_seconds")} for line in lines]


def specialist(seed: int = 0, **options) -> SpecialistPolicy:
    actor = {"trunk": init_layers(np.random.default_rng(seed), (15, 16, 12))}
    return SpecialistPolicy(actor, SPEC, point_env(point_task())._contract, **options)


@pytest.mark.timeout(600)
def test_training_ends_with_a_confirmed_specialist_that_holds_up_in_other_scenes(trained):
    result = json.loads((trained / "stage.json").read_text())["result"]
    assert result["confirmed"]
    assert result["successes_in_a_row"] >= POINT.confirm_episodes
    env, policy = point_env(point_task()), load_specialist(trained)
    assert sum(rollout(env, policy, seed).success for seed in range(100)) >= 95


def test_metrics_of_every_round_are_one_json_line(trained):
    lines = learning_curve(trained)
    assert [line["env_steps"] for line in lines] == sorted(line["env_steps"] for line in lines)
    assert {"updates", "success", "critic_loss", "entropy"} <= set(lines[-1])
    assert list((trained / "tensorboard").iterdir())


def test_a_finished_training_is_loaded_not_repeated(trained):
    before = (trained / "specialist.npz").stat().st_mtime_ns
    policy = train(point_task(), trained, POINT, seed=1, make_env=point_env)
    assert (trained / "specialist.npz").stat().st_mtime_ns == before
    assert policy.metadata.weight_hash == load_specialist(trained).metadata.weight_hash


@pytest.mark.timeout(600)  # three starts of JAX and of an actor, on a machine that may be busy
def test_a_killed_and_resumed_training_ends_with_the_same_bits_as_an_uninterrupted_one(tmp_path):
    whole, killed, script = tmp_path / "whole", tmp_path / "killed", tmp_path / "script.py"
    train(point_task(), whole, TINY, seed=3, make_env=point_env)
    script.write_text(TRAIN_UNTIL_KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    dead = subprocess.run([sys.executable, script, killed], env=environment, stderr=subprocess.DEVNULL, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert not (killed / "specialist.npz").exists()
    train(point_task(), killed, TINY, seed=3, make_env=point_env)
    expected, resumed = read_arrays(whole / "specialist.npz"), read_arrays(killed / "specialist.npz")
    assert expected.keys() == resumed.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], resumed[name])
    assert learning_curve(whole) == learning_curve(killed)


def test_a_round_depends_on_nothing_that_happened_before_nor_on_how_many_share_it():
    weights, task = specialist().actor, point_task()
    request = round_request(4, weights, weights, explored=range(7, 12), tried=range(3))
    fresh, used = (Actor(point_env, task, TINY, seed=0) for _ in range(2))
    used(divide(round_request(3, weights, weights, range(2), range(0)), 1)[0])
    expected = merge(request, [fresh(share) for share in divide(request, 1)])
    for actors in (1, 2, 4, 9):
        np.testing.assert_equal(merge(request, [used(share) for share in divide(request, actors)]), expected)


class Here:
    """Actors that are at work while one waits for them."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def begin(self, request) -> None:
        self._request = request

    def finish(self):
        return merge(self._request, [self._actor(share) for share in divide(self._request, 1)])


def test_demonstrations_that_failed_are_made_up_for_and_not_learned_from(tmp_path):
    config, task, env = dataclasses.replace(TINY, demonstrations=4), point_task(), point_env(point_task())
    operator = load_policy("teleoperator")
    made = [rollout(env, operator, scene_seed(0, DEMONSTRATE, number)) for number in range(6)]
    assert [episode.success for episode in made] == [True, True, False, True, False, True]
    actors, learner = Here(Actor(point_env, task, config, seed=0)), Learner(config, SPEC, seed=0)
    actors.begin(demonstrations_request(0, 4))
    Loop(task, config, learner, AsJudged(), actors, tmp_path).demonstrated()  # pyright: ignore[reportArgumentType]
    assert learner.prior_steps == sum(len(episode) for episode in made if episode.success)


def test_a_time_out_is_not_the_end_of_value_but_a_success_is(trained):
    env = point_env(point_task())
    timed_out, succeeded = rollout(env, specialist(), 0), rollout(env, load_specialist(trained), 0)
    assert not timed_out.success
    assert succeeded.success
    assert transitions(timed_out, SPEC)["continues"][:-1].tolist() == [1] * len(timed_out)
    assert transitions(succeeded, SPEC)["continues"][:-1].tolist() == [1] * (len(succeeded) - 1) + [0]


def steps(lengths: list[int], value: float, intervention: bool = False) -> dict[str, np.ndarray]:
    """Transitions of episodes of these lengths, with `value` and a running number for an observation."""
    last = np.concatenate([np.arange(length + 1) == length for length in lengths])
    features = np.stack([np.full(len(last), value), np.arange(len(last))], axis=1)
    return {"features": features, "last": last, "intervention": np.full(len(last), intervention)}


LENGTHS = st.lists(st.integers(1, 6), max_size=5)


@given(prior=LENGTHS, online=LENGTHS, half=st.integers(1, 8), seed=st.integers(0, 99))
def test_half_of_each_batch_comes_from_the_demonstrations(prior, online, half, seed):
    replay = Replay()
    for lengths, is_prior in ((prior, True), (online, False)):
        replay.add(steps(lengths, float(is_prior)) if lengths else {}, prior=is_prior)
    if not prior and not online:
        return
    rows = replay.sample(np.random.default_rng(seed), batches=4, batch_size=2 * half)
    expected = half if prior and online else 2 * half if prior else 0
    assert (replay.take("features", rows)[..., 0].sum(axis=1) == expected).all()


@given(st.lists(LENGTHS.filter(bool), min_size=1, max_size=4), st.integers(0, 99))
def test_the_next_observation_is_of_the_same_episode(additions, seed):
    replay = Replay()
    for index, lengths in enumerate(additions):
        replay.add(steps(lengths, float(index)), prior=bool(index % 2))
    rows = replay.sample(np.random.default_rng(seed), batches=8, batch_size=4)
    assert not replay.take("last", rows).any()
    before, after = replay.take("features", rows), replay.take("features", rows + 1)
    np.testing.assert_array_equal(after - before, np.broadcast_to([0, 1], after.shape))


def test_steps_of_an_operator_are_the_agents_own_and_prior_data_and_stored_once():
    replay = Replay()
    replay.add(steps([3], 0.0), prior=False)
    replay.add(steps([2], 1.0, intervention=True), prior=False)
    assert (len(replay.online), len(replay.prior), len(replay)) == (5, 2, 7)


@given(st.lists(st.integers(0, 7), max_size=12))
def test_a_growing_array_keeps_every_row_in_order(sizes):
    array, expected = GrowingArray(np.empty((0, 1), np.float32)), []
    for size in sizes:
        rows = np.arange(len(expected), len(expected) + size, dtype=np.float32)
        array.append(rows[:, None])
        expected += rows.tolist()
    assert array.rows[:, 0].tolist() == expected


def test_weights_keep_their_shape_under_flat_names():
    tree = {"head": [{"weight": np.ones(2)}, {"weight": np.zeros(3)}], "log_temperature": np.array(1.0)}
    flat = named_arrays(tree)
    assert list(flat) == ["head.0.weight", "head.1.weight", "log_temperature"]
    np.testing.assert_equal(from_named_arrays(flat), tree)


@given(st.integers(0, 1000))
def test_features_do_not_depend_on_where_the_socket_points(seed):
    generator = np.random.default_rng(seed)
    goal = geometry.pose_from_euler(generator.normal(size=3), generator.normal(size=3))
    error = geometry.pose_from_euler(generator.normal(size=3) * 0.02, generator.normal(size=3) * 0.1)
    tool = geometry.compose(goal, error)
    moved = geometry.pose_from_euler(generator.normal(size=3), generator.normal(size=3))
    state = {"tcp_vel": generator.normal(size=6).astype(np.float32)}
    here, there = (
        features(state, {"tcp_in_target": geometry.relative(geometry.compose(m, goal), geometry.compose(m, tool))})
        for m in (geometry.IDENTITY, moved)
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_the_acting_network_is_the_learning_network():
    import jax

    layers, x = init_layers(np.random.default_rng(0), (15, 32, 32, 12)), np.random.default_rng(1).normal(size=(8, 15))
    x = x.astype(np.float32)
    np.testing.assert_allclose(forward(layers, x), jax.jit(forward)(layers, x), atol=1e-5)


def test_a_specialist_is_deterministic_unless_asked_to_sample():
    env = point_env(point_task())
    observation, _ = env.reset(seed=0)
    plain, sampling = specialist(), specialist(stochastic=True)

    def act(policy, seed):
        policy.reset(env.task, "", seed=seed)
        return policy.act(observation)

    assert act(plain, 0).shape == (1, 7)
    assert act(plain, 0).dtype == np.float32
    np.testing.assert_array_equal(act(plain, 0), act(plain, 1))
    np.testing.assert_array_equal(act(sampling, 0), act(sampling, 0))
    assert not np.array_equal(act(sampling, 0), act(sampling, 1))


def test_a_specialist_refuses_a_task_with_other_actions():
    scale = point_task().action_scale.model_copy(update={"translation": 0.01})
    with pytest.raises(ContractError, match=r"0\.01"):
        rollout(point_env(point_task().model_copy(update={"action_scale": scale})), specialist(), 0)


def test_a_saved_specialist_comes_back_and_a_changed_one_is_refused(tmp_path):
    policy = specialist(stochastic=False, checkpoint_step=5)
    save_specialist(tmp_path, policy, load_task("usb_a_insertion"))
    assert load_specialist(tmp_path).metadata == policy.metadata
    other = specialist(seed=1)
    save_specialist(tmp_path / "..", other, load_task("usb_a_insertion"))
    (tmp_path / "../specialist.npz").replace(tmp_path / "specialist.npz")
    with pytest.raises(CheckpointError, match=r"does not hold the weights"):
        load_specialist(tmp_path)


def test_a_folder_without_specialist_says_how_to_make_one(tmp_path):
    with pytest.raises(CheckpointError, match="rldg train"):
        load_specialist(tmp_path)


def test_two_checkpoints_are_kept_and_a_damaged_newest_falls_back_to_the_one_before(tmp_path):
    checkpoints, rows = Checkpoints(tmp_path), np.arange(9)
    for step in (1, 2, 3):
        checkpoints.save(step, {"step": np.array(step)}, {"rows": rows[: 3 * step]})
    newest = sorted(tmp_path.glob("checkpoint_*"))
    assert len(newest) == 2
    newest[-1].write_bytes(newest[-1].read_bytes()[:40])
    resumed = Checkpoints(tmp_path)
    found = resumed.latest()
    assert found["step"] == 2
    assert found["rows"].tolist() == rows[:6].tolist()
    resumed.save(3, {"step": np.array(3)}, {"rows": rows})
    assert Checkpoints(tmp_path).latest()["rows"].tolist() == rows.tolist()


def test_a_checkpoint_writes_only_what_the_one_before_lacked(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    pictures = np.zeros((1000, 8, 8, 3), np.uint8)
    checkpoints.save(1, {}, {"pictures": pictures[:990]})
    checkpoints.save(2, {}, {"pictures": pictures})
    first, second = (path.stat().st_size for path in sorted(tmp_path.glob("growth_*")))
    assert second < first / 50


def test_a_full_disk_leaves_the_file_before_it(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    write_arrays(path, {"a": np.array(1)})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space"):
        write_arrays(path, {"a": np.array(2)})
    assert read_arrays(path)["a"] == 1


def test_a_pickle_is_not_read(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError):
        read_arrays(path)


def test_a_task_with_a_grasp_has_a_recipe_of_its_own_which_options_change() -> None:
    from rldg.cli import train as verb

    def configuration(*arguments: str) -> SpecialistConfig:
        names = (tyro.conf.OmitArgPrefixes,)  # as `rldg` reads its command line
        return tyro.cli(verb.Args, args=arguments, default=verb.defaults(arguments), config=names).config

    grasping = recipe(load_task("fmb_assembly"))
    assert grasping != SpecialistConfig() == recipe(load_task("fmb_insertion"))
    assert configuration("fmb_assembly", "--out", "usb_a_insertion") == grasping
    assert configuration("--json", "--out", "fmb_assembly", "usb_a_insertion") == SpecialistConfig()
    changed = configuration("--discount", "0.9", "fmb_assembly", "--out", "run")
    assert changed == dataclasses.replace(grasping, discount=0.9)
    assert configuration("fmb_assembly", "--algorithm", "bc", "--out", "run").demonstrations == 20
