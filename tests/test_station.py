"""The simulated station and `FrankaRobot`, over real HTTP."""

import threading
import time

import numpy as np
import pytest
import requests

from rldg import geometry
from rldg.env.robot_env import RobotEnv
from rldg.env.success import make_judge
from rldg.errors import ContractError, RldgError, UsageError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.expert import Expert
from rldg.robots.franka_client import FrankaClient
from rldg.robots.franka_robot import FrankaRobot
from rldg.robots.stops import RobotFault, RobotStop
from rldg.rollout import rollout
from rldg.serving.station import StationServer
from rldg.tasks import load_station, load_task, task_names
from rldg.tasks.gains import Gains
from rldg.tasks.task import PoseThreshold

TASK = load_task("usb_a_insertion")
SIM = load_station("sim")
THRESHOLD = PoseThreshold(kind="pose_threshold", tolerance=(0.01,) * 6)


def still(task):
    """The task at a fixed target and a fixed reset pose, as a station has the one and a test wants the other."""
    none = task.reset_noise.model_copy(update={"low": (0.0,) * 6, "high": (0.0,) * 6})
    sim = task.sim.model_copy(update={"socket_position_noise": (0.0, 0.0, 0.0), "socket_yaw_noise": 0.0})
    return task.model_copy(update={"reset_noise": none, "sim": sim})


def franka(server, **changes):
    safety = changes.pop("safety", {})
    base = load_station("sim_franka")
    changes["safety"] = base.safety.model_copy(update=safety)
    return base.model_copy(update={"url": server.url, "speed": server.arm.speed, **changes})


@pytest.fixture(scope="module")
def clocked():
    with StationServer(TASK, SIM) as server:
        yield server


@pytest.fixture(scope="module")
def stepped():
    with StationServer(TASK, SIM, speed=0) as server:
        yield server


@pytest.fixture
def quick():
    """Four times as fast as real: resets take seconds, and none of these tests needs them."""
    with StationServer(TASK, SIM, speed=4) as server:
        yield server


@pytest.fixture
def server(clocked):
    requests.post(clocked.url + "sim/clear_faults", timeout=5)
    yield clocked
    requests.post(clocked.url + "sim/clear_faults", timeout=5)


class Repeat(Policy):
    """The same action for ever, or what `then` does before it."""

    def __init__(self, action, then=lambda step: None):
        self.metadata = PolicyMetadata(kind="repeat")
        self._action, self._then, self._step = np.array([action], np.float32), then, 0

    def act(self, observation):
        self._then(self._step)
        self._step += 1
        return self._action


def fault(server, kind, seconds=1.0, **more):
    reply = requests.post(server.url + "sim/fault", json={"kind": kind, "seconds": seconds, **more}, timeout=5)
    assert reply.status_code == 200, reply.text


# What the original server answers, by route.
REPLIES = {
    "getpos": {"pose": (7,)},
    "getpos_euler": {"pose": (6,)},
    "getvel": {"vel": (6,)},
    "getforce": {"force": (3,)},
    "gettorque": {"torque": (3,)},
    "getq": {"q": (7,)},
    "getdq": {"dq": (7,)},
    "getjacobian": {"jacobian": (6, 7)},
    "get_gripper": {"gripper": ()},
    "getstate": {
        "pose": (7,),
        "vel": (6,),
        "force": (3,),
        "torque": (3,),
        "q": (7,),
        "dq": (7,),
        "jacobian": (6, 7),
        "gripper_pos": (),
    },
}


@pytest.mark.parametrize("route", REPLIES)
def test_readings_have_the_original_servers_keys_and_shapes(server, route):
    reply = requests.post(server.url + route, timeout=5).json()
    assert {name: np.shape(value) for name, value in reply.items()} == REPLIES[route]


class OriginalClient:
    """What HIL-SERL's `FrankaEnv` sends, request by request, as its own file was seen to: a pose follows the clearing
    of errors and is of float32, the state is read after the sleep that ends a step, a reset changes the gains three
    times. `pause` stands for its sleeps, of a tenth of a second in a step.
    """

    GAINS = Gains().model_dump() | {"nullspace_stiffness": 0.2}  # more than the controller here has

    def __init__(self, server, pause):
        self._url, self._pause = server.url, pause
        self.update()

    def post(self, route, payload=None):
        reply = requests.post(self._url + route, json=payload, timeout=10)
        assert reply.status_code == 200, f"{route}: {reply.text}"
        return reply

    def update(self):
        self.seen = self.post("getstate").json()
        assert np.reshape(self.seen["jacobian"], (6, 7)).shape == (6, 7)
        self.pose = np.array(self.seen["pose"])

    def send(self, pose):
        self.post("clearerr")
        self.post("pose", {"arr": np.array(pose).astype(np.float32).tolist()})

    def reset(self, goal, joints=False):
        self.post("update_param", self.GAINS)
        self.post("clearerr")
        self.update()
        self.send(self.pose)
        time.sleep(3 * self._pause)
        self.post("update_param", self.GAINS | {"translational_clip_z": 0.02})
        time.sleep(5 * self._pause)
        if joints:
            self.post("jointreset")
            time.sleep(5 * self._pause)
        self.update()
        for pose in np.linspace(self.pose, goal, 10):
            self.send(pose)
            time.sleep(self._pause)
        self.update()
        self.post("update_param", self.GAINS)
        self.post("clearerr")
        self.update()

    def step(self, move, gripper=0.0):
        if gripper:
            self.post("open_gripper" if gripper > 0 else "close_gripper")
            time.sleep(6 * self._pause)
        goal = self.pose.copy()
        goal[:3] += move
        self.send(goal)
        time.sleep(self._pause)
        self.update()


def test_the_original_clients_requests_reset_step_grip_and_recover(quick):
    client = OriginalClient(quick, pause=0.1 / quick.arm.speed)
    client.post("set_load", {"mass": 0.1, "F_x_center_load": [0, 0, 0], "load_inertia": [0] * 9})
    above = np.array([0.5, 0, 0.13, 1, 0, 0, 0])
    client.reset(above)
    np.testing.assert_allclose(client.pose[:3], above[:3], atol=0.015)  # it does not wait until the arm is there
    for _ in range(20):  # as a policy would: straight down where the socket is
        client.step(np.clip([0.5 - client.pose[0], -client.pose[1], -0.015], -0.015, 0.015))
    assert quick.arm.use(lambda robot: robot.contact().depth) > 0.9 * TASK.sim.geometry.full_depth
    fault(quick, "reflex", 0.3)
    before = client.pose
    client.step(np.array([0, 0, 0.015]))
    np.testing.assert_allclose(client.pose, before, atol=1e-3)
    time.sleep(0.4)
    for _ in range(5):
        client.step(np.array([0, 0, 0.015]))
    assert client.pose[2] - before[2] > 0.01
    client.reset(above, joints=True)
    assert client.post("getq").json()["q"][3] == pytest.approx(-1.9, abs=0.6)
    for route in ("startimp", "stopimp", "activate_gripper", "reset_gripper", "close_gripper_slow"):
        client.post(route)
    client.post("move_gripper", {"gripper_pos": 255})


def test_the_original_clients_gripper_opens_and_closes():
    with StationServer(load_task("usb_pickup_insertion"), SIM, speed=4) as server:
        client = OriginalClient(server, pause=0.1 / server.arm.speed)
        for gripper, opening in ((-1, 0.0), (1, 1.0)):
            for _ in range(3):
                client.step(np.zeros(3), gripper)
            assert client.seen["gripper_pos"] == pytest.approx(opening, abs=0.05)


def test_every_reset_draws_the_scene_that_belongs_to_its_seed():
    task = load_task("usb_a_insertion_randomised")
    with StationServer(task, SIM, speed=0) as server:
        env = RobotEnv(task, franka(server), cameras=False)

        def scene(seed):
            env.reset(seed=seed)
            return server.arm.use(lambda robot: np.append(robot.model.light_diffuse.ravel(), robot.contact().clearance))

        first, second, again = scene(0), scene(1), scene(0)
        assert first[0] != second[0] and first[-1] != second[-1]
        np.testing.assert_array_equal(first, again)
        assert requests.post(server.url + "sim/new_scene", timeout=5).ok
        assert requests.post(server.url + "sim/new_scene", json={"seed": -1}, timeout=5).status_code == 400
        env.close()


def test_things_are_put_back_before_each_episode_and_the_arm_stays():
    task = load_task("usb_pickup_insertion")
    with StationServer(task, SIM, speed=0) as server:
        env = RobotEnv(task, franka(server), cameras=False)
        env.reset(seed=0)
        for _ in range(5):
            env.step(np.array([0, 0, 1, 0, 0, 0, -1], np.float32))
        start, arm = server.arm.use(lambda robot: robot.object_pose()), server.arm.state()[0].pose
        requests.post(server.url + "sim/new_scene", json={"seed": 3}, timeout=5)
        np.testing.assert_allclose(server.arm.state()[0].pose, arm, atol=1e-3)  # it was moving
        assert np.linalg.norm(server.arm.use(lambda robot: robot.object_pose())[:2] - start[:2]) > 1e-3
        env.close()


def test_an_operator_puts_things_back_and_says_so(monkeypatch, caplog):
    held = iter([True, False, False, True])  # a key that was held from before says nothing
    key = type("Key", (), {"held": lambda self: next(held)})
    monkeypatch.setattr("rldg.robots.rearranging.TerminalKey", key)
    with StationServer(TASK, SIM, speed=0) as server:
        env = RobotEnv(TASK, franka(server, rearranged_by="operator"), cameras=False)
        env.reset(seed=0)
        assert next(held, None) is None and "press space" in caplog.text
        env.close()


def test_an_arm_that_does_not_reach_its_reset_pose_is_soft_again(monkeypatch):
    with StationServer(TASK, SIM, speed=0) as server:
        robot = FrankaRobot(TASK, franka(server), patience=0)
        monkeypatch.setattr("rldg.robots.franka_reset.CLOSE", 0.0)
        with pytest.raises(RldgError, match="from its reset pose"):
            robot.reset(np.random.default_rng(0))
        assert server.arm._gains == TASK.compliance
        robot.close()


def test_a_joint_reset_whose_end_is_unknown_is_not_sent_again(monkeypatch):
    with StationServer(TASK, SIM, speed=0) as server:
        robot = FrankaRobot(TASK, franka(server, joint_reset_period=1), patience=5)
        asked = []

        def lost():
            asked.append(1)
            raise RobotFault("connection", "The reply was lost.")

        monkeypatch.setattr(robot.arm.client, "joint_reset", lost)
        robot.reset(np.random.default_rng(0))
        assert len(asked) == 1
        robot.close()


def test_closing_leaves_the_set_point_where_the_arm_is():
    with StationServer(TASK, SIM, speed=0) as server:
        env = RobotEnv(TASK, franka(server), cameras=False)
        env.reset(seed=0)
        env.step(np.array([1, 0, 0, 0, 0, 0, -1], np.float32))
        assert np.linalg.norm(server.arm._command[:3] - server.arm.state()[0].pose[:3]) > 5e-3
        was = server.arm.state()[0].pose
        env.close()
        np.testing.assert_allclose(server.arm._command[:3], was[:3], atol=1e-6)


def test_routes_are_posts_and_nonsense_is_refused(server):
    assert requests.get(server.url + "getstate", timeout=5).status_code == 405
    for payload in ({"arr": [1, 2]}, {"arr": [0] * 7}, {"arr": ["x"] * 7}, {}, []):
        assert requests.post(server.url + "pose", json=payload, timeout=5).status_code == 400
    assert requests.post(server.url + "pose", data=b"\xff", timeout=5).status_code == 400
    assert requests.post(server.url + "update_param", json={"rotational_stiffness": -1}, timeout=5).status_code == 400
    assert requests.post(server.url + "sim/fault", json={"kind": "flood", "seconds": 1}, timeout=5).status_code == 400


def test_browsers_and_foreign_names_are_refused_and_a_token_is_part_of_the_address(server):
    assert requests.post(server.url + "getstate", headers={"Origin": "http://a.b"}, timeout=5).status_code == 403
    assert requests.post(server.url + "getstate", headers={"Host": "a.b"}, timeout=5).status_code == 403
    with StationServer(TASK, SIM, token="secret", speed=0) as guarded:
        assert guarded.url.endswith("/secret/")
        assert FrankaClient(guarded.url).state().pose.shape == (7,)
        assert requests.post(guarded.url.replace("/secret", "") + "getstate", timeout=5).status_code == 404


@pytest.mark.parametrize("name", [name for name in task_names() if not name.endswith("_randomised")])
def test_spaces_are_those_of_the_simulated_robot(name):
    task = load_task(name)
    if task.success.kind == "placed":  # which only simulation can tell
        task = task.model_copy(update={"success": THRESHOLD})
    with StationServer(task, SIM, speed=0) as server:
        there, here = RobotEnv(task, franka(server), cameras=False), RobotEnv(task, cameras=False)
        assert there.action_space == here.action_space
        assert there.observation_space["state"] == here.observation_space["state"]
        seen, known = there.observation_space["privileged"].spaces, here.observation_space["privileged"].spaces
        assert seen.items() <= known.items() and "tcp_in_target" in seen
        there.close()
        here.close()


def test_the_same_actions_give_the_same_motion_force_and_pictures_in_lock_step():
    task = still(TASK)
    with StationServer(task, SIM, speed=0) as server:
        there, here = RobotEnv(task, franka(server)), RobotEnv(task)
        first, _ = there.reset(seed=0)
        here.reset(seed=0)
        # Equal starts: what a reset over HTTP leaves of motion is handed over.
        server.arm.use(lambda robot: here.robot.data.__setattr__("qpos", robot.data.qpos))
        server.arm.use(lambda robot: here.robot.data.__setattr__("qvel", robot.data.qvel))
        server.arm.use(lambda robot: here.robot.data.__setattr__("act", robot.data.act))
        here.robot.command(here.robot.state().pose, 0.0)
        here._state, here._origin = there._state, there._origin
        generator = np.random.default_rng(0)
        for _ in range(30):
            action = generator.uniform(-1, 1, 7).astype(np.float32)
            a, b = there.step(action)[0], here.step(action)[0]
            for part in ("tcp_pose", "tcp_vel"):
                np.testing.assert_allclose(a["state"][part], b["state"][part], atol=1e-5, err_msg=part)
            np.testing.assert_allclose(a["state"]["tcp_force"], b["state"]["tcp_force"], atol=0.5)
        for camera in first["images"]:
            assert np.abs(a["images"][camera].astype(int) - b["images"][camera]).mean() < 1
        there.close()
        here.close()


@pytest.mark.slow  # and of timing: for an idle machine
def test_the_same_actions_give_the_same_motion_within_a_millimetre_by_the_clock():
    task = still(TASK)
    actions = np.zeros((20, 7), np.float32)
    actions[:, 0], actions[:, 1], actions[:, 5] = np.sin(np.arange(20) / 3), np.cos(np.arange(20) / 4), 0.3
    paths = []
    with StationServer(task, SIM) as server:
        for env in (RobotEnv(task, franka(server), cameras=False), RobotEnv(task, cameras=False)):
            env.reset(seed=0)
            paths.append(np.array([env.step(action)[4]["step"].raw_state["tcp_pose"][:3] for action in actions]))
            env.close()
    assert np.abs(paths[0] - paths[1]).max() < 1e-3


def test_the_expert_inserts_over_http_and_the_judge_agrees_with_the_truth(stepped):
    env = RobotEnv(TASK, franka(stepped), cameras=False)
    for seed in range(5):
        episode = rollout(env, Expert(), seed)
        assert episode.success and episode.metadata.backend == "franka"
        assert stepped.arm.use(lambda robot: robot.contact().depth) > 0.94 * TASK.sim.geometry.full_depth
    env.close()


def test_a_policy_that_needs_what_no_station_measures_is_refused():
    task = load_task("pick_and_place")
    with StationServer(task, SIM, speed=0) as server:
        judged = task.model_copy(update={"success": THRESHOLD})
        env = RobotEnv(judged, franka(server), cameras=False)
        with pytest.raises(ContractError, match=r"object_in_t.*only simulation knows"):
            rollout(env, Expert(), 0)
        env.close()


@pytest.mark.slow  # and of timing: for an idle machine
def test_steps_keep_the_rate(server):
    env = RobotEnv(TASK, franka(server), cameras=False)
    env.reset(seed=0)
    started = time.monotonic()
    for _ in range(20):
        env.step(np.zeros(7, np.float32))
    assert time.monotonic() - started == pytest.approx(2.0, abs=0.05)
    assert env.robot.arm.pace.timing().median_ms < 5
    env.close()


CASES = {
    "fault_connection": ("lost_reply", {"seconds": 3.0}),
    "fault_camera": ("frozen_camera", {"seconds": 2.0}),
    "force_limit": ("push", {"seconds": 1.0, "amount": 80.0}),
    "fault_reflex": ("reflex", {"seconds": 3.0}),
}


@pytest.mark.parametrize("reason", CASES)
def test_a_fault_ends_the_episode_with_its_reason_and_the_next_one_is_whole(quick, reason):
    kind, more = CASES[reason]
    env = RobotEnv(TASK, franka(quick), cameras=reason == "fault_camera" and ["wrist_1"])
    hit = lambda step: fault(quick, kind, **more) if step == 3 else None  # noqa: E731
    episode = rollout(env, Repeat([0, 0, 0.3, 0, 0, 0, -1], hit), 0)
    assert episode.metadata.failure_reason == reason and not episode.success
    assert 4 <= len(episode) < TASK.horizon
    assert bool(episode.is_terminal[-1]) == (reason == "force_limit")
    requests.post(quick.url + "sim/clear_faults", timeout=5)
    assert rollout(env, Expert(), 1).success
    env.close()


@pytest.mark.slow  # and of timing: for an idle machine
def test_single_lost_replies_and_errors_do_not_end_an_episode(quick):
    env = RobotEnv(TASK, franka(quick), cameras=False)
    for kind in ("error", "lost_reply", "late_reply"):
        fault(quick, kind, 20.0, probability=0.03, amount=0.1)
    episodes = [rollout(env, Expert(), seed) for seed in range(2)]
    assert all(episode.success for episode in episodes)
    env.close()


@pytest.mark.slow  # and of timing: for an idle machine
def test_the_watchdog_holds_within_a_tenth_of_a_second(server):
    robot = FrankaRobot(TASK, franka(server, safety={"watchdog": 0.3}))
    robot.reset(np.random.default_rng(0))
    robot.move(geometry.integrate(robot.state().pose, np.array([0, 0, -0.02, 0, 0, 0])), 0.0)
    commanded = time.monotonic()
    while robot.arm.guard._stop is None:
        assert time.monotonic() - commanded < 1
        time.sleep(0.001)
    assert time.monotonic() - commanded < 0.3 + 0.1
    with pytest.raises(RobotFault, match=r"No command came for 0.3 s"):
        robot.move(robot.arm.client.state().pose, 0.0)
    robot.close()


@pytest.mark.slow  # and of timing: for an idle machine
def test_the_force_stop_holds_within_a_tenth_of_a_second(server):
    robot = FrankaRobot(TASK, franka(server))
    robot.reset(np.random.default_rng(0))
    held, send = [], robot.arm.client.send_pose
    robot.arm.client.send_pose = lambda pose: send(pose) or held.append(time.monotonic())
    threading.Timer(0.03, lambda: server.arm.push(80.0, 0.5)).start()
    pushed = time.monotonic() + 0.03
    pose = robot.state().pose
    with pytest.raises(RobotStop, match="met 80 N"):
        robot.move(pose, 0.0)
    assert held[-1] - pushed < 0.1
    robot.close()
    time.sleep(0.6)


def test_the_operators_stop_ends_the_episode_and_the_run(quick):
    env = RobotEnv(TASK, franka(quick), cameras=False)
    press = lambda step: env.robot.arm.guard.stop_by_operator() if step == 3 else None  # noqa: E731
    episode = rollout(env, Repeat([0, 0, -0.2, 0, 0, 0, -1], press), 0)
    assert (episode.metadata.failure_reason, len(episode)) == ("operator_stop", 4)
    with pytest.raises(RldgError, match="same command again"):
        env.reset(seed=1)
    env.close()


def test_a_dry_run_moves_nothing(server, caplog):
    caplog.set_level("INFO", "rldg.robots.franka_client")
    before = server.arm.state()[0].pose
    env = RobotEnv(TASK, franka(server, safety={"dry_run": True}), cameras=False)
    env.reset(seed=0)
    env.step(np.ones(7, np.float32))
    np.testing.assert_allclose(server.arm.state()[0].pose, before, atol=2e-3)
    assert "dry run: /pose" in caplog.text
    env.close()


def test_what_a_station_lacks_is_said_in_one_sentence(server):
    with pytest.raises(RldgError, match="has no camera wrist_1"):
        FrankaRobot(TASK, franka(server, cameras={}), ["wrist_1"])
    tight = load_station("sim_franka").safety.box.model_copy(update={"low": (-0.01,) * 6, "high": (0.01,) * 6})
    with pytest.raises(RldgError, match="outside of the safety box"):
        FrankaRobot(TASK, franka(server, safety={"box": tight}))
    with pytest.raises(UsageError, match="no address"):
        FrankaClient("http://[::bad")
    with pytest.raises(RldgError, match=r"cannot be used.*refused"):
        FrankaRobot(TASK, franka(server, url="http://127.0.0.1:9/"))
    robot = FrankaRobot(TASK, franka(server), patience=0)
    fault(server, "error", 3.0)
    with pytest.raises(RldgError, match="could not be reset within 0 s"):
        robot.reset(np.random.default_rng(0))
    robot.close()


GRASPED = load_task("usb_pickup_insertion")


def seen(opening, above=0.0):
    """An observation of a tool so far above its target, with the gripper so far open."""
    pose = np.array([0, 0, -above, 0, 0, 0, 1], np.float32)
    return {"state": {"gripper_pose": np.array([opening], np.float32)}, "privileged": {"tcp_in_target": pose}}


def verdicts(task, observations):
    judge = make_judge(task, ground_truth=False, look=dict)
    judge.reset()
    return [judge(observation, None) for observation in observations]


HELD_THEN_LET_GO = [seen(0.1, 0.05), seen(0.1), seen(0.1), seen(0.1), seen(0.5), seen(0.9)]


def test_a_grasped_plug_counts_as_inserted_where_fingers_held_it_at_depth_and_let_go():
    assert verdicts(GRASPED, HELD_THEN_LET_GO) == [False] * 5 + [True]
    closing_on_nothing = [seen(1.0), *(seen(share) for share in (0.8, 0.5, 0.2, 0.0, 0.0, 0.0)), seen(0.5), seen(1.0)]
    assert not any(verdicts(GRASPED, closing_on_nothing))
    let_go_above = [seen(0.1), seen(0.1), seen(0.1), seen(0.1, 0.03), seen(0.9, 0.03)]
    assert not any(verdicts(GRASPED, let_go_above))
    assert not any(verdicts(GRASPED, [seen(1.0)] * 5))


def test_a_grasp_task_that_a_station_cannot_judge_is_judged_by_a_file_that_extends_it(tmp_path):
    task = load_task("pick_and_place")
    with StationServer(task, SIM, speed=0) as server:
        with pytest.raises(RldgError, match=r"'placed', which only simulation can tell; extend it by a task file"):
            RobotEnv(task, franka(server, cameras={}), cameras=False)
        mine, conditions = tmp_path / "mine.yaml", "{gripper: {at_least: 0.5}, distance: {at_most: 0.2}}"
        mine.write_text(f"extends: pick_and_place.yaml\nsuccess: {{kind: conditions, conditions: {conditions}}}\n")
        env = RobotEnv(load_task(str(mine)), franka(server), cameras=False)
        assert rollout(env, Repeat([0, 0, 0.1, 0, 0, 0, 1]), 0).success
        env.close()
