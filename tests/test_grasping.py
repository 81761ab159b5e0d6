"""Tasks that begin with a grasp: what the gripper does, what it holds, and how an episode ends."""

import numpy as np
import pytest

from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract, gripper_command
from rldg.errors import RldgError, TaskFileError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.expert import Expert
from rldg.policies.teleoperator import Teleoperator
from rldg.rollout import rollout
from rldg.rollout.recorded import RecordedActions
from rldg.tasks import load_task
from rldg.tasks.task import Placed
from tests.helpers import changed

LIFTED = 0.006  # metres at which an object is clear of what it stood on
GRASPING = ["pick_and_place", "fmb_assembly", "usb_pickup_insertion"]


@pytest.fixture(scope="module", params=GRASPING)
def env(request) -> RobotEnv:
    return RobotEnv(load_task(request.param), cameras=False)


@pytest.fixture(scope="module")
def peg() -> RobotEnv:
    return RobotEnv(load_task("fmb_assembly"), cameras=False)


class AfterTheGrasp(Policy):
    """The expert until the object is well off the ground, then `action` for ever."""

    metadata = PolicyMetadata(kind="after_the_grasp")

    def __init__(self, action):
        self._expert, self._action = Expert(), np.array([action], np.float32)

    def reset(self, task, instruction, seed=0):
        self._expert.reset(task, instruction, seed)
        self._height, self._lifted = None, False

    def act(self, observation):
        height = -observation["privileged"]["object_in_target"][2]
        self._height = height if self._height is None else self._height
        self._lifted |= height > self._height + LIFTED
        return self._action if self._lifted else self._expert.act(observation)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [(-1, 1, 0), (-0.5, 1, 0), (-0.49, 1, 1), (0, 0, 0), (0.49, 0, 0), (0.5, 0, 1), (1, 1, 1)],
)
def test_the_deadband_leaves_the_gripper_as_it_is(action, before, after):
    assert gripper_command(action, before) == after


def test_the_measured_opening_follows_the_command_which_is_recorded(peg):
    peg.reset(seed=0)
    openings, commands = [], []
    for command in [-1] + [0] * 7 + [0.6] + [-0.3] * 7:
        observation, _, _, _, info = peg.step(np.array([0, 0, 0, 0, 0, 0, command], np.float32))
        openings.append(observation["state"]["gripper_pose"][0])
        commands.append(info["step"].action[6])
    assert commands == [0] * 8 + [1] * 8
    assert openings[7] < 0.01 and openings[-1] > 0.99
    assert all(0 <= opening <= 1 for opening in openings)


def test_what_is_recorded_can_be_carried_out_again(env):
    episode = rollout(env, Expert(), 4)
    contract = ActionContract.of(env.task)
    again = rollout(env, RecordedActions(contract.to_normalized(episode.action), contract), 4)
    assert episode.success and again.success
    assert abs(len(again) - len(episode)) <= 1


def test_an_object_stays_where_it_is_until_it_is_touched(env):
    first, _ = env.reset(seed=5)
    observations = [env.step(np.array([0, 0, -0.2, 0, 0, 0, 1], np.float32))[0] for _ in range(20)]
    moved = observations[-1]["privileged"]["object_in_target"] - first["privileged"]["object_in_target"]
    assert np.abs(moved).max() < 5e-4


def test_friction_holds_an_object_while_the_arm_shakes_it(env):
    episode = rollout(env, Expert(), 1)
    heights = -episode.privileged["object_in_target"][:, 2]
    held = int(np.argmax(heights > heights[0] + LIFTED))
    env.reset(seed=1)
    for action in episode.action_normalized[:held]:
        env.step(action)
    shakes = [1 if step % 4 < 2 else -1 for step in range(30)]
    shaken = [env.step(np.array([shake, -shake, 0, 0, 0, shake, 0], np.float32))[0] for shake in shakes]
    grasps = np.array([observation["privileged"]["object_in_tcp"] for observation in shaken])
    assert np.abs(grasps - episode.privileged["object_in_tcp"][held]).max() < 1e-3
    assert shaken[-1]["state"]["gripper_pose"][0] > 0.05, "something is between the fingers"


def test_who_takes_over_goes_on_with_what_is_in_the_hand(env):
    class Relay(Policy):
        metadata = PolicyMetadata(kind="relay")

        def reset(self, task, instruction, seed=0):
            self._lifting = AfterTheGrasp([0, 0, 0, 0, 0, 0, 0])
            self._lifting.reset(task, instruction, seed)
            self._second = Expert()
            self._second.reset(task, instruction, seed)

        def act(self, observation):
            first = self._lifting.act(observation)
            return self._second.act(observation) if self._lifting._lifted else first

    episode = rollout(env, Relay(), 6)
    assert episode.success
    assert (np.diff(episode.action[:, 6]) != 0).sum() <= 2, "closed once, and let go at most once"


def test_letting_go_in_the_air_is_told_as_dropped(env):
    episode = rollout(env, AfterTheGrasp([0, 0, 0, 0, 0, 0, 1]), 2)
    assert not episode.success and episode.metadata.failure_reason == "dropped"


def test_doing_nothing_is_no_jam_though_the_object_touches_what_it_stands_on(env):
    class Idle(Policy):
        metadata = PolicyMetadata(kind="idle")

        def act(self, observation):
            return np.zeros((1, 7), np.float32)

    assert rollout(env, Idle(), 0).metadata.failure_reason == "time_out"


def test_an_object_that_falls_off_ends_the_episode(peg):
    peg.reset(seed=0)
    joint = peg.robot.data.joint("workpiece")
    joint.qpos[:3] += [0, 0.3, 0]  # beside the board
    steps = [peg.step(np.zeros(7, np.float32)) for _ in range(10)]
    _, reward, terminated, truncated, info = next(step for step in steps if step[2])
    assert terminated and not truncated and reward == 0
    assert info["step"].failure_reason == "dropped"


def test_the_usb_plug_has_to_be_let_go():
    env = RobotEnv(load_task("usb_pickup_insertion"), cameras=False)
    episode = rollout(env, Expert(), 3)
    assert episode.success and episode.final["state"]["gripper_pose"][0] > 0.6
    assert env.task.sim is not None
    full = env.task.sim.geometry.full_depth
    inside = [t for t in range(len(episode)) if episode.privileged["object_in_target"][t, 2] > -0.05 * full]
    assert len(inside) > 2, "it was in for a while before the hand had opened"


def test_hovering_over_the_bowl_and_throwing_beside_it_are_no_success():
    env = RobotEnv(load_task("pick_and_place"), cameras=False)
    episode = rollout(env, AfterTheGrasp([0, 0, 0, 0, 0, 0, -1]), 0)
    assert not episode.success and episode.metadata.failure_reason == "time_out"
    strict = changed(env.task, success=Placed(kind="placed", radius=0.001, height=0.04))
    assert not rollout(RobotEnv(strict, cameras=False), Expert(), 0).success


def test_the_teleoperator_manages_most_of_them(env):
    episodes = [rollout(env, Teleoperator(), seed) for seed in range(8)]
    assert sum(episode.success for episode in episodes) >= 6
    commands = np.concatenate([episode.action_normalized[:, 6] for episode in episodes])
    assert set(commands.tolist()) == {-1, 1}


def test_placing_needs_a_gripper_that_moves():
    task = load_task("usb_a_insertion")
    with pytest.raises(RldgError, match="placed"):
        RobotEnv(changed(task, success=Placed(kind="placed", radius=0.1, height=0.1)), cameras=False)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("extends: fmb_assembly\nname: a\ngripper: fixed\n", r"sim\.start must not be given"),
        ("extends: usb_a_insertion\nname: a\ngripper: binary\n", r"sim\.start must be given"),
        (
            "extends: pick_and_place\nname: a\nsim:\n  connector: {cross_section: [[0,0],[1,0],[0,1]], depth: 5}\n",
            "one",
        ),
        ("extends: pick_and_place\nname: a\nsim:\n  placing:\n    bowl: {radius: 5}\n", r"a\.yaml:5: .*radius"),
    ],
)
def test_a_wrong_grasping_task_is_answered_with_what_is_wrong(tmp_path, text, answer):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(TaskFileError, match=answer):
        load_task(path)
