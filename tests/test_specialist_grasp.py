"""The grasp critic: what it is told of a transition, and that it learns when to close."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldg.env.types import gripper_command
from rldg.specialists import grasp
from rldg.specialists.agent import init_state
from rldg.specialists.learner import Learner
from rldg.specialists.networks import forward
from rldg.specialists.spec import AgentSpec
from tests.test_specialist import TINY

SPEC = AgentSpec(actions=6, grasps=True)
CONFIG = dataclasses.replace(TINY, hidden=(32, 32), batch_size=64, updates_per_step=2, target_rate=0.05)


def tries(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Episodes of one step: closing near the object (first feature below 0) succeeds, all else goes on without end."""
    generator = np.random.default_rng(seed)
    rows = 2 * count
    choice = generator.integers(grasp.CHOICES, size=rows, dtype=np.int32)
    features = generator.uniform(-1, 1, (rows, SPEC.features_size)).astype(np.float32)
    success = (choice == grasp.CLOSE) & (features[:, 0] < 0)
    return {
        "features": features,
        "action": generator.uniform(-1, 1, (rows, 6)).astype(np.float32),
        "reward": success.astype(np.float32),
        "continues": np.where(success, 0, 1).astype(np.float32),
        "grasp": choice,
        "grasp_moves": grasp.moves(choice, np.ones(rows)),
        "intervention": np.zeros(rows, bool),
        "last": np.arange(rows) % 2 == 1,
    }


def test_it_learns_to_close_at_the_object_and_not_elsewhere():
    learner = Learner(CONFIG, SPEC, seed=0)
    learner.add(tries(500), prior=True)
    learner.add(tries(1000, seed=1), prior=False)
    learner.learn()
    here, there = np.zeros((2, 1, SPEC.features_size), np.float32)
    here[:, 0], there[:, 0] = -0.8, 0.8
    near, far = (forward(learner.actor["grasp"], x)[0] for x in (here, there))
    assert near.argmax() == grasp.CLOSE
    assert far.argmax() != grasp.CLOSE
    assert far[grasp.CLOSE] < far[grasp.STAY]


def test_an_interrupted_learner_goes_on_with_the_same_bits():
    whole, first, second = (Learner(CONFIG, SPEC, seed=0) for _ in range(3))
    for learner in (whole, first):
        learner.add(tries(50), prior=True)
        learner.add(tries(100, seed=1), prior=False)
        learner.learn()
    second.restore(first.arrays() | first.replay.arrays())
    for learner in (whole, second):
        learner.add(tries(100, seed=2), prior=False)
        learner.learn()
    expected, resumed = whole.arrays(), second.arrays()
    for name in expected:
        np.testing.assert_array_equal(expected[name], resumed[name])


@given(st.floats(-1, 1), st.sampled_from([0.0, 1.0]))
def test_a_choice_is_what_the_environment_makes_of_the_command(action, before):
    choice = int(grasp.choices(np.array(action)))
    told = gripper_command(action, before)
    assert told == {grasp.CLOSE: 0.0, grasp.STAY: before, grasp.OPEN: 1.0}[choice]
    values = np.eye(3)[choice]
    assert gripper_command(grasp.command(values), before) == told


@pytest.mark.parametrize(
    ("choice", "opening", "moves"),
    [(grasp.CLOSE, 1.0, 1), (grasp.CLOSE, 0.3, 0), (grasp.OPEN, 0.3, 1), (grasp.OPEN, 1.0, 0), (grasp.STAY, 1.0, 0)],
)
def test_only_what_sets_the_gripper_moving_is_charged(choice, opening, moves):
    assert grasp.moves(np.array([choice]), np.array([opening])).tolist() == [moves]


def test_an_agent_without_a_gripper_has_no_grasp_critic():
    state = init_state(CONFIG, AgentSpec(actions=6), seed=0)
    assert "grasp" not in state.actor
    assert "grasp" not in state.critics
