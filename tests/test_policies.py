"""The scripted expert and the simulated teleoperator: they insert, their habits show, and a seed fixes everything."""

import numpy as np
import pytest

from rldg.env.robot_env import RobotEnv
from rldg.errors import UnknownNameError
from rldg.policies.expert import Expert
from rldg.policies.habits import PRESETS, TeleoperatorHabits
from rldg.policies.teleoperator import Teleoperator
from rldg.rollout import rollout
from rldg.tasks import load_task

EPISODES = 20


@pytest.fixture(scope="module")
def env():
    return RobotEnv(load_task("usb_a_insertion"), cameras=False)


@pytest.fixture(scope="module")
def episodes(env):
    policies = {"expert": Expert()} | {preset: Teleoperator(preset) for preset in PRESETS}
    return {name: [rollout(env, policy, seed) for seed in range(EPISODES)] for name, policy in policies.items()}


def successes(episodes):
    return [episode for episode in episodes if episode.success]


def median_steps(episodes):
    return np.median([len(episode) for episode in successes(episodes)])


@pytest.mark.parametrize("name", ["ethernet_insertion", "vga_insertion_tight", "xlr_insertion", "usb_c_insertion"])
def test_expert_inserts_other_connectors(name):
    task = RobotEnv(load_task(name), cameras=False)
    assert all(rollout(task, Expert(), seed).success for seed in range(5))


def test_expert_always_succeeds_and_is_deterministic(env, episodes):
    assert all(episode.success for episode in episodes["expert"])
    again = rollout(env, Expert(), seed=3)
    assert np.array_equal(again.action_normalized, episodes["expert"][3].action_normalized)


def test_skilled_teleoperator_succeeds_but_takes_longer_than_the_expert(episodes):
    assert len(successes(episodes["skilled"])) >= 0.9 * EPISODES
    assert 1.4 < median_steps(episodes["skilled"]) / median_steps(episodes["expert"]) < 2.2


def test_presets_are_ordered_by_skill(episodes):
    assert median_steps(episodes["skilled"]) < median_steps(episodes["average"]) < median_steps(episodes["clumsy"])
    assert len(successes(episodes["clumsy"])) >= 0.4 * EPISODES


def test_seed_fixes_the_teleoperator_and_another_seed_changes_it(env, episodes):
    first = episodes["skilled"][0]
    assert np.array_equal(rollout(env, Teleoperator(), seed=0).action_normalized, first.action_normalized)
    assert not np.array_equal(rollout(env, Teleoperator(), seed=1).action_normalized[:5], first.action_normalized[:5])


def test_scene_and_operator_draw_from_different_streams():
    operator = Teleoperator()
    operator.reset(load_task("usb_a_insertion"), "", seed=5)
    pose, force = np.array([0, 0, -0.03, 0, 0, 0, 1], np.float32), np.zeros(3, np.float32)
    operator.act({"privileged": {"tcp_in_target": pose}, "state": {"tcp_force": force}})
    assert not np.isclose(operator._bias[0] / operator.habits.position_bias, np.random.default_rng(5).normal())


def test_actions_are_within_bounds(episodes):
    for episode in (episode for group in episodes.values() for episode in group):
        assert episode.action_normalized.dtype == np.float32
        assert np.abs(episode.action_normalized).max() <= 1
        assert (episode.action_normalized[:, 6] == -1).all()


def test_teleoperator_pushes_one_axis_group_at_a_time(env):
    steady = Teleoperator(habits=TeleoperatorHabits(hand_noise=0, hand_speed=1, position_bias=0, yaw_bias=0))
    actions = np.abs(rollout(env, steady, seed=2).action_normalized[:, :6])
    translating, turning = actions[:, :3].max(1) > 0.05, actions[:, 3:].max(1) > 0.05
    assert translating.any()
    assert turning.any()
    assert not (translating & turning).any()


def test_contact_is_answered_one_reaction_delay_later():
    above = {"tcp_in_target": np.array([0, 0, -0.03, 0, 0, 0, 1], np.float32)}
    free, touching = ({"tcp_force": np.array([0, 0, force], np.float32)} for force in (0.0, 20.0))

    def steps_until_rest(delay):
        operator = Teleoperator(
            habits=TeleoperatorHabits(reaction_delay=delay, hesitation_rate=0, hand_speed=1, hand_noise=0)
        )
        operator.reset(load_task("usb_a_insertion"), "", seed=0)
        states = [free] * 10 + [touching] * 10
        moved = [np.abs(operator.act({"privileged": above, "state": state})[0, :6]).max() > 0 for state in states]
        return moved[10:].index(False)

    assert steps_until_rest(0.5) - steps_until_rest(0.0) == 5


def test_hesitation_makes_pauses(env):
    restless = TeleoperatorHabits(hesitation_rate=0)
    hesitant = TeleoperatorHabits(hesitation_rate=3, hesitation_time=0.5)
    steps = [len(rollout(env, Teleoperator(habits=habits), seed=6)) for habits in (restless, hesitant)]
    assert steps[1] > steps[0] + 5


def test_metadata_tells_habits_apart():
    assert Teleoperator().metadata.kind == "teleoperator"
    assert Teleoperator("average").metadata.kind == "teleoperator:average"
    assert Teleoperator(habits=TeleoperatorHabits(hand_noise=0.2)).metadata.kind == "teleoperator:custom"
    assert len({Teleoperator(preset).metadata.weight_hash for preset in PRESETS}) == len(PRESETS)


def test_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'skilled'"):
        Teleoperator("skiled")
