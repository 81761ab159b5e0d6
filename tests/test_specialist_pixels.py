"""Specialists that see pictures: what they may look at, that they learn the same again, and how pictures are kept."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from rldg import geometry
from rldg.env.robot_env import RobotEnv
from rldg.errors import UsageError
from rldg.rollout import rollout
from rldg.specialists import SpecialistConfig, load_specialist
from rldg.specialists.agent import init_state
from rldg.specialists.arrays import named_arrays, read_arrays, write_arrays
from rldg.specialists.encoders import ENCODERS, make_encoder
from rldg.specialists.policy import SpecialistPolicy, save_specialist
from rldg.specialists.replay import transitions
from rldg.specialists.sight import shifted
from rldg.specialists.spec import AgentSpec, shrunk
from rldg.specialists.train import train
from rldg.tasks import load_task
from rldg.tasks.task import CameraView, Task
from tests.point_robot import PointRobot, point_task
from tests.test_specialist import POINT, TINY

PIXELS = 32  # of the camera; the networks take half of them
TINY_PIXELS = dataclasses.replace(
    TINY, encoder="small", image_size=16, augment=1, updates_per_call=2, updates_per_step=1, max_env_steps=120
)
ASYMMETRIC = dataclasses.replace(
    TINY_PIXELS, asymmetric=True, updates_per_call=20, updates_per_step=2, picture_batch=8, max_env_steps=300
)
LEARNING = dataclasses.replace(
    POINT, encoder="small", image_size=16, augment=0, asymmetric=True, picture_period=4, confirm_episodes=40
)
TRAIN_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_specialist_pixels import ASYMMETRIC, seen_env, seen_task
from rldg.specialists import train as training

save, saved = training.Checkpoints.save, []

def save_then_die(*arguments):
    save(*arguments)
    saved.append(arguments)
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    training.Checkpoints.save = save_then_die
    training.train(seen_task(), Path(sys.argv[1]), ASYMMETRIC, seed=3, make_env=seen_env)
"""


class SeenRobot(PointRobot):
    """A point robot with one camera, on whose pictures the target is a bright spot."""

    def __init__(self) -> None:
        super().__init__()
        self.camera_sizes = {"wrist_1": PIXELS}

    def images(self) -> dict[str, np.ndarray]:
        x, y, z = geometry.relative(self._pose, self._target)[:3]
        across = np.linspace(-0.06, 0.06, PIXELS)
        spot = np.exp(-((across[:, None] - x) ** 2 + (across[None] - y) ** 2) / 2e-4)
        depth = np.full_like(spot, (0.06 + z) / 0.12)
        picture = np.stack([spot, depth, 1 - spot], axis=-1)
        return {"wrist_1": (255 * picture.clip(0, 1)).astype(np.uint8)}


def seen_task() -> Task:
    return point_task().model_copy(update={"cameras": {"wrist_1": CameraView(resolution=PIXELS)}})


def seen_env(task: Task) -> RobotEnv:
    return RobotEnv(task, cameras=False, robot=SeenRobot())


def untrained(config: SpecialistConfig) -> SpecialistPolicy:
    actor = init_state(config, AgentSpec.of(config, seen_task()), seed=0).actor
    return SpecialistPolicy.of(config, seen_task(), actor)


@pytest.mark.timeout(600)
def test_an_actor_learns_from_pictures_what_its_critics_learn_from_exact_poses(tmp_path):
    policy = train(seen_task(), tmp_path, LEARNING, seed=1, make_env=seen_env)
    env = seen_env(seen_task())
    assert sum(rollout(env, policy, seed).success for seed in range(100)) >= 95


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_and_resumed_training_on_pictures_ends_with_the_same_bits(tmp_path):
    whole, killed, script = tmp_path / "whole", tmp_path / "killed", tmp_path / "script.py"
    train(seen_task(), whole, ASYMMETRIC, seed=3, make_env=seen_env)
    script.write_text(TRAIN_UNTIL_KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    dead = subprocess.run([sys.executable, script, killed], env=environment, stderr=subprocess.DEVNULL, check=False)
    assert dead.returncode == -signal.SIGKILL
    train(seen_task(), killed, ASYMMETRIC, seed=3, make_env=seen_env)
    expected, resumed = read_arrays(whole / "specialist.npz"), read_arrays(killed / "specialist.npz")
    assert expected.keys() == resumed.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], resumed[name])


@pytest.mark.parametrize("config", [TINY_PIXELS, ASYMMETRIC], ids=["critics on pictures", "critics on exact poses"])
def test_an_actor_on_pictures_never_looks_at_what_only_a_simulator_knows(config):
    policy = untrained(config)
    observation, _ = seen_env(seen_task()).reset(seed=0)
    expected = policy.act(observation)
    del observation["privileged"]
    np.testing.assert_array_equal(policy.act(observation), expected)


def test_an_actor_on_pictures_looks_at_them():
    policy = untrained(ASYMMETRIC)
    observation, _ = seen_env(seen_task()).reset(seed=0)
    before = policy.act(observation)
    observation["images"] = {"wrist_1": 255 - observation["images"]["wrist_1"]}
    assert not np.array_equal(policy.act(observation), before)


def test_a_saved_specialist_of_pictures_comes_back_and_names_its_cameras(tmp_path):
    policy = untrained(ASYMMETRIC)
    save_specialist(tmp_path, policy, seen_task())
    loaded = load_specialist(tmp_path)
    assert loaded.metadata.image_sizes == {"wrist_1": PIXELS}
    episodes = [rollout(seen_env(seen_task()), each, seed=0) for each in (policy, loaded)]
    np.testing.assert_array_equal(episodes[0].action, episodes[1].action)


def test_each_picture_is_kept_once_and_as_bytes():
    policy = untrained(TINY_PIXELS)
    episode = rollout(seen_env(seen_task()), policy, seed=0)
    columns = transitions(episode, policy.spec)
    kept = columns["image.wrist_1"]
    assert (kept.dtype, kept.shape) == (np.uint8, (len(episode) + 1, 16, 16, 3))
    np.testing.assert_array_equal(kept[-1], shrunk(episode.final["images"]["wrist_1"], 16))
    assert "features" not in columns


@pytest.mark.parametrize("name", sorted(ENCODERS))
@pytest.mark.parametrize("size", [32, 64])
def test_an_encoder_keeps_to_its_interface(name, size):
    encoder, generator = make_encoder(name), np.random.default_rng(0)
    maps = generator.normal(size=(3, *encoder.maps_shape(size))).astype(np.float32)
    numbers = np.asarray(encoder.encode(encoder.init(generator, size), maps))
    assert numbers.shape == (3, encoder.width)
    assert np.isfinite(numbers).all()
    assert not np.allclose(numbers[0], numbers[1])


class Backbone(nn.Module):
    """What a user might write."""

    @nn.compact
    def __call__(self, pictures):
        x = nn.relu(nn.Conv(4, (4, 4), strides=4)(pictures))
        return nn.LayerNorm()(x)


class WithStatistics(nn.Module):
    @nn.compact
    def __call__(self, pictures):
        return nn.BatchNorm(use_running_average=False)(pictures)


OWN = f"{__name__}:Backbone"


def test_a_flax_module_of_ones_own_is_an_encoder_that_learns_and_comes_back(tmp_path):
    config = dataclasses.replace(TINY_PIXELS, encoder=OWN, max_env_steps=60)
    before = untrained(config).actor["encoder"]["cameras"]["wrist_1"]["module"]
    policy = train(seen_task(), tmp_path / "run", config, seed=1, make_env=seen_env)
    learned = policy.actor["encoder"]["cameras"]["wrist_1"]["module"]
    assert learned.keys() == before.keys()
    assert not np.allclose(learned["Conv_0"]["kernel"], before["Conv_0"]["kernel"])
    loaded = load_specialist(tmp_path / "run")
    episodes = [rollout(seen_env(seen_task()), each, seed=0) for each in (policy, loaded)]
    np.testing.assert_array_equal(episodes[0].action, episodes[1].action)


@pytest.mark.parametrize("augment", [0, 1])
def test_a_frozen_flax_module_takes_given_weights_and_keeps_them(tmp_path, augment):
    given = Backbone().init(jax.random.key(7), np.zeros((1, 16, 16, 3)))["params"]
    write_arrays(tmp_path / "given.npz", named_arrays(given))
    options = {"encoder": f"frozen:{OWN}", "encoder_weights": str(tmp_path / "given.npz"), "augment": augment}
    config = dataclasses.replace(TINY_PIXELS, **options, max_env_steps=20)
    policy = train(seen_task(), tmp_path / "run", config, seed=1, make_env=seen_env)
    assert policy.spec.cached is (augment == 0)
    jax.tree.map(np.testing.assert_array_equal, policy.frozen, given)
    np.testing.assert_equal(load_specialist(tmp_path / "run").frozen, policy.frozen)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_module:Net", "No module named"),
        (f"{__name__}:Nobody", "has no attribute 'Nobody'"),
        (f"{__name__}:SeenRobot", "no flax.linen.Module"),
    ],
)
def test_what_is_no_flax_module_is_refused(name, complaint):
    with pytest.raises(UsageError, match=complaint):
        make_encoder(name)


def test_a_flax_module_with_running_statistics_is_refused():
    with pytest.raises(UsageError, match="may have parameters only"):
        make_encoder(f"{__name__}:WithStatistics").init(np.random.default_rng(0), 16)


def test_a_shift_moves_a_picture_and_repeats_its_edge():
    picture, shifts = np.arange(64).reshape(8, 8, 1), np.array(list(itertools.product(range(-3, 4), repeat=2)))
    for shift, moved in zip(shifts, np.asarray(shifted(np.repeat(picture[None], len(shifts), 0), shifts)), strict=True):
        rows, columns = (np.clip(np.arange(8) - by, 0, 7) for by in shift)
        np.testing.assert_array_equal(moved, picture[rows][:, columns])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"asymmetric": True}, "choose an encoder"),
        ({"encoder": "small", "observe_force": True}, "leave observe_force out"),
        ({"encoder": "small", "augment": 40}, "augment"),
        ({"updates_per_call": 3}, "multiple of actor_period"),
        ({"encoder": "small", "asymmetric": True, "picture_period": 3}, "multiple of picture_period"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        SpecialistConfig(**options)


@pytest.mark.parametrize(
    "options", [{"encoder": "smal"}, {"encoder": "small", "cameras": ("eye",)}, {"encoder": "small", "image_size": 48}]
)
def test_what_the_task_has_not_is_refused(options):
    with pytest.raises(UsageError):
        AgentSpec.of(SpecialistConfig(**options), load_task("usb_a_insertion"))
