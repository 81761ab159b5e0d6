"""The environment: what users may rely on of every shipped task."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rldg import geometry
from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract, StepInfo
from rldg.env.workspace import clip_to_box
from rldg.errors import ActionError, ContractError, RldgError, TaskFileError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.resolve import load_policy
from rldg.robots.base import Contact
from rldg.rollout import rollout
from rldg.tasks import load_task
from rldg.tasks.task import PoseThreshold
from tests.helpers import changed
from tests.point_robot import point_task


@pytest.fixture(scope="module")
def usb() -> RobotEnv:
    return RobotEnv(load_task("usb_a_insertion"), cameras=False)


def test_gymnasium_accepts_it() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(infinity|spec|render).*")
        check_env(RobotEnv(load_task("usb_a_insertion")), skip_render_check=True)


def test_poses_are_relative_to_the_reset_pose(usb: RobotEnv) -> None:
    observation, info = usb.reset(seed=3)
    np.testing.assert_allclose(observation["state"]["tcp_pose"], geometry.IDENTITY, atol=1e-6)
    start = info["step"].raw_state["tcp_pose"].astype(float)
    for _ in range(5):
        observation, _, _, _, info = usb.step(np.array([0.5, -0.5, 0.2, 0, 0, 0.3, -1], np.float32))
    now = info["step"].raw_state["tcp_pose"].astype(float)
    np.testing.assert_allclose(observation["state"]["tcp_pose"], geometry.relative(start, now), atol=1e-5)


def test_actions_are_twists_in_the_tool_frame(usb: RobotEnv) -> None:
    _, info = usb.reset(seed=3)
    before = info["step"].raw_state["tcp_pose"].astype(float)
    _, _, _, _, info = usb.step(np.array([1, 0, 0, 0, 0, 0, 1], np.float32))
    step: StepInfo = info["step"]
    np.testing.assert_allclose(step.action, [0.015, 0, 0, 0, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(
        step.base_action[:6], geometry.rotate_twist(before, step.action[:6].astype(float)), atol=1e-7
    )


@pytest.mark.parametrize("action", [np.full(7, np.nan), np.zeros(6), np.full((1, 7), 0.0), np.array([np.inf] * 7)])
def test_what_is_not_an_action_is_refused(usb: RobotEnv, action: np.ndarray) -> None:
    usb.reset(seed=0)
    with pytest.raises(ActionError):
        usb.step(action)


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, 6, elements=st.floats(-0.5, 0.5)))
def test_no_commanded_pose_leaves_the_workspace(offset: np.ndarray) -> None:
    task = load_task("usb_a_insertion")
    target = np.array([0.5, 0.0, 0.08, 1.0, 0.0, 0.0, 0.0])
    pose = geometry.compose(target, geometry.pose_from_euler(offset[:3], offset[3:]))
    local = geometry.relative(target, clip_to_box(pose, target, task.workspace))
    coordinates = np.concatenate([local[:3], geometry.euler(local)])
    assert (coordinates >= np.array(task.workspace.low) - 1e-9).all()
    assert (coordinates <= np.array(task.workspace.high) + 1e-9).all()


def test_hovering_over_the_socket_is_no_success(usb: RobotEnv) -> None:
    class Hover(Policy):
        metadata = PolicyMetadata(kind="hover")

        def act(self, observation: dict) -> np.ndarray:
            x, y, z = observation["privileged"]["tcp_in_target"][:3]
            return np.array([[-20 * x, 20 * y, 20 * (-0.015 - z), 0, 0, 0, -1]], np.float32)

    episode = rollout(usb, Hover(), 0)
    assert not episode.success and episode.metadata.failure_reason in ("time_out", "jam")
    assert not episode.is_terminal.any()


def test_pressing_on_the_rim_is_a_jam_and_no_wall_gives_way(usb: RobotEnv) -> None:
    class Press(Policy):
        metadata = PolicyMetadata(kind="press")

        def act(self, observation: dict) -> np.ndarray:
            x, y, _ = observation["privileged"]["tcp_in_target"][:3]
            return np.array([[20 * (0.02 - x), 20 * y, 1, 0, 0, 0, -1]], np.float32)

    episode = rollout(usb, Press(), 0)
    assert episode.metadata.failure_reason == "jam"
    assert 0 < episode.metadata.penetration < 0.5e-3
    assert len(episode) == usb.task.horizon


def test_a_wall_that_gave_way_ends_the_episode_as_a_failure(monkeypatch) -> None:
    env = RobotEnv(load_task("usb_a_insertion"), cameras=False)
    env.reset(seed=0)
    through = Contact(depth=0.02, penetration=0.6e-3, clearance=0.5e-3, touching=True)
    monkeypatch.setattr(env.robot, "contact", lambda: through)
    _, reward, terminated, truncated, info = env.step(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
    assert terminated and not truncated and reward == 0
    assert info["step"].failure_reason == "penetration"


def test_too_much_force_ends_the_episode_as_a_failure() -> None:
    task = changed(load_task("usb_a_insertion"), force_limit=3.0)
    env = RobotEnv(task, cameras=False)
    env.reset(seed=0)
    for _ in range(task.horizon):
        _, reward, terminated, truncated, info = env.step(np.array([0, 0, 1, 0, 0, 0, -1], np.float32))
        if terminated or truncated:
            break
    assert terminated and reward == 0 and info["step"].failure_reason == "force_limit"


def test_pose_threshold_judges_without_ground_truth() -> None:
    tolerance = (0.005, 0.005, 0.003, 0.1, 0.1, 0.1)
    task = changed(load_task("usb_a_insertion"), success=PoseThreshold(kind="pose_threshold", tolerance=tolerance))
    episode = rollout(RobotEnv(task, cameras=False), load_policy("expert"), 1)
    assert episode.success and episode.metadata.judged_by == "pose_threshold"


def test_what_cannot_be_judged_or_simulated_is_refused_with_a_sentence() -> None:
    nowhere = changed(load_task("usb_a_insertion"), sim=None)
    with pytest.raises(RldgError, match="'insertion_depth', which only simulation can tell"):
        RobotEnv(nowhere, cameras=False)
    with pytest.raises(TaskFileError, match="sim"):
        RobotEnv(changed(nowhere, success=point_task().success), cameras=False)


def test_a_policy_for_other_actions_or_cameras_is_refused(usb: RobotEnv) -> None:
    other = Policy()
    other.metadata = PolicyMetadata("other", action_contract=ActionContract(0.1, 0.1, 10, "fixed"))
    with pytest.raises(ContractError, match=r"0\.015"):
        rollout(usb, other, 0)
    other.metadata = PolicyMetadata("other", image_sizes={"wrist_1": 128})
    with pytest.raises(ContractError, match="wrist_1"):
        rollout(usb, other, 0)


def test_domain_randomisation_changes_pictures_and_fit_but_follows_the_seed() -> None:
    env = RobotEnv(load_task("usb_a_insertion_randomised"))
    pictures, clearances = [], []
    for seed in (0, 1, 0):
        observation, _ = env.reset(seed=seed)
        pictures.append(observation["images"]["wrist_1"].copy())
        clearances.append(env.robot.contact().clearance)
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert clearances[0] == clearances[2] != clearances[1]
    assert (pictures[0] != pictures[1]).mean() > 0.5
    env.close()


def test_the_wrist_camera_sees_the_socket() -> None:
    """Covering the socket (moving it 3 cm) changes the picture where the plug will go."""
    env = RobotEnv(load_task("usb_a_insertion"), cameras=("wrist_1",))
    env.reset(seed=2)
    before = env.robot.images()["wrist_1"].astype(int)
    env.robot.data.mocap_pos[0, 0] += 0.03
    import mujoco

    mujoco.mj_forward(env.robot.model, env.robot.data)
    after = env.robot.images()["wrist_1"].astype(int)
    assert before.shape == (128, 128, 3) and (np.abs(before - after).max(-1) > 60).sum() > 50
    env.close()
