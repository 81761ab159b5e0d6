"""Policies on a server act as they would here, and what goes wrong with the server is said and counted as such."""

import contextlib
import dataclasses
import threading

import msgpack
import numpy as np
import pytest
from websockets.sync.server import serve

from rldg.cli.main import dispatch
from rldg.env.robot_env import RobotEnv
from rldg.errors import ContractError, TaskFileError, UnknownNameError, UsageError
from rldg.evaluation.evaluate import evaluate
from rldg.generalists.octo.policy import OctoPolicy
from rldg.generalists.openvla.policy import load_openvla
from rldg.policies.base import PolicyMetadata
from rldg.policies.intervention import Intervention
from rldg.policies.remote import Patience, RefusedError, RemoteFault, RemotePolicy
from rldg.policies.wire import MessageError, pack
from rldg.resolve import load_policy
from rldg.rollout import Subscriber, rollout
from rldg.tasks import load_task
from tests.helpers import changed
from tests.openvla_golden import write
from tests.point_robot import point_env, point_task
from tests.test_octo_policy import checkpoint
from tests.test_policy_server import Counter, served
from tests.test_specialist import specialist

TASK = load_task("usb_a_insertion")
QUICK = Patience(connect=2, answer=5)


def small(pixels, translation=0.015):
    """The task with a picture of so many pixels, an action scale, and few steps."""
    view = TASK.cameras["wrist_1"].model_copy(update={"resolution": pixels})
    scale = TASK.action_scale.model_copy(update={"translation": translation})
    return changed(TASK, cameras={"wrist_1": view}, action_scale=scale, horizon=8)


@contextlib.contextmanager
def remote(policy, **options):
    with served(policy, **options) as server, contextlib.closing(RemotePolicy(server.url, patience=QUICK)) as client:
        yield client


def same(one, other):
    assert one.metadata == other.metadata
    for name in ("action", "action_normalized", "base_action", "reward", "is_intervention"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for group in ("state", "images"):
        for name, value in getattr(one, group).items():
            np.testing.assert_array_equal(value, getattr(other, group)[name])


@pytest.mark.parametrize("kind", ["octo", "openvla", "specialist", "teleoperator"])
def test_episodes_are_the_same_bit_by_bit_here_and_there(kind, tmp_path):
    task = small(16)
    if kind == "octo":
        policy = OctoPolicy(checkpoint(), stochastic=True)
    elif kind == "openvla":
        write(tmp_path / "checkpoint")
        policy, task = load_openvla(tmp_path / "checkpoint", stochastic=True), small(48, 0.01)
    else:
        policy = specialist(stochastic=True) if kind == "specialist" else load_policy("teleoperator")
    env = RobotEnv(task, cameras=bool(policy.metadata.image_sizes))
    with contextlib.closing(env), remote(policy, clients=1) as client:
        assert client.metadata == policy.metadata
        for seed in range(2):
            same(rollout(env, client, seed), rollout(env, policy, seed))


def test_rldg_evaluate_gives_the_same_trials(tmp_path):
    with served(load_policy("teleoperator")) as server:
        for name, policy in {"here": "teleoperator", "there": f"{server.url}:answer=30"}.items():
            command = ["evaluate", TASK.name, "--policy", policy, "--episodes", "2", "--videos", "0", "--workers", "1"]
            assert dispatch([*command, "--out", str(tmp_path / name)]) == 0
    here, there = ((tmp_path / name / "trials.jsonl").read_text() for name in ("here", "there"))
    assert here == there


def test_an_operator_takes_over_a_policy_here_and_there():
    with remote(Intervention(Counter(), load_policy("expert"), Always())) as client:
        client.reset(TASK, "insert", 3)
        observation = RobotEnv(small(4), cameras=True).reset(seed=1)[0]
        client.act(observation)
        assert client.intervening


class Always:
    def reset(self, task):
        pass

    def takes_over(self, observation):
        return True


# Faults


def test_a_server_of_another_contract_is_refused_before_anything_moves():
    with remote(Counter()) as client, pytest.raises(ContractError, match=r"0\.015.*0\.03"):
        rollout(RobotEnv(small(4, 0.03)), client, 1)


def test_nobody_at_the_address_is_said_in_one_sentence(tmp_path):
    with pytest.raises(RemoteFault, match=r"No policy server answers at ws://127\.0\.0\.1:1: "):
        load_policy("ws://127.0.0.1:1:connect=0.1")
    with pytest.raises(UsageError, match="no address"):
        load_policy("ws://:connect=0.1")
    with pytest.raises(UnknownNameError, match="Did you mean 'answer'"):
        load_policy("ws://127.0.0.1:1:answers=1")
    with pytest.raises(TaskFileError, match=r"keys.yaml:1: actions: must be 'metric' or 'normalised'"):
        (tmp_path / "keys.yaml").write_text("actions: joint\n")
        load_policy(f"ws://127.0.0.1:1:keys={tmp_path / 'keys.yaml'}")


def test_a_token_comes_from_the_environment(monkeypatch):
    with served(token="open sesame") as server:
        with pytest.raises(UsageError, match="wants a token in the environment variable RLDG_TOKEN"):
            RemotePolicy(server.url)
        monkeypatch.setenv("RLDG_TOKEN", "wrong")
        with pytest.raises(UsageError, match="refuses the token"):
            RemotePolicy(server.url)
        monkeypatch.setenv("RLDG_TOKEN", "open sesame")
        assert RemotePolicy(server.url).metadata.kind == "counter"


def test_a_lost_connection_is_a_fault_of_its_episode_and_the_next_one_connects_anew():
    task = point_task()
    policy = Plain()
    with served(policy) as server:
        client = RemotePolicy(server.url, patience=QUICK)
        client.reset(task, "reach", 0)
        port = int(server.url.rpartition(":")[2])
    observation, _ = point_env(task).reset(seed=0)
    with pytest.raises(RemoteFault, match="has gone"):
        client.act(observation)
    with served(policy, port=port):
        client.reset(task, "reach", 0)
        assert client.act(observation).shape == (2, 7)
    with served(policy, port=port):  # it went away and came back between two episodes
        client.reset(task, "reach", 0)
        assert client.act(observation).shape == (2, 7)
    with served(Counter(), port=port), pytest.raises(ContractError, match="now serves"):
        client.reset(task, "reach", 0)


class Plain(Counter):
    """Needs no picture."""

    metadata = PolicyMetadata(kind="plain")


class Breaking(Subscriber):
    """Ends the server's connections in the third step."""

    def __init__(self, server):
        self._server = server

    def step(self, transition):
        if transition.index == 2:
            for connection in self._server._server.connections:
                connection.close()


def test_an_evaluation_tries_scenes_again_whose_connection_broke(tmp_path):
    task = point_task()
    env, attempts = point_env(task), []
    with served(Plain()) as server, contextlib.closing(RemotePolicy(server.url, patience=QUICK)) as client:

        def run(index):
            attempts.append(index)
            return rollout(env, client, index, subscribers=[Breaking(server)] if attempts == [0, 1] else [])

        summary = evaluate(run, tmp_path / "out", 3, task=task, policy="remote", videos=0)
    assert (summary.trials, summary.infrastructure_faults, attempts) == (3, 0, [0, 1, 2, 1])
    assert "RemoteFault" in (tmp_path / "out" / "faults.jsonl").read_text()


@contextlib.contextmanager
def pretending(*answers, hello=None):
    """A server of another making: says `hello`, then `answers` one by one, whatever is asked; keeps what it heard."""
    heard = []

    def converse(connection):
        connection.send(pack(hello or {}))
        for answer, asked in zip(answers, connection, strict=False):
            heard.append(msgpack.unpackb(asked))
            if answer is not None:
                connection.send(answer)
        connection.recv(10)

    with serve(converse, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", heard
    thread.join(10)


KEYS = """\
observation:
  observation/wrist_image: images/wrist_1
  observation/state: [state/tcp_pose, state/gripper_pose]
execute: 2
"""


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "pi0.yaml").write_text(KEYS)
    return tmp_path / "pi0.yaml"


def test_a_pi0_is_asked_by_its_own_names_and_its_actions_are_normalised(keys):
    chunk = np.zeros((50, 7))  # float64, as openpi answers
    chunk[:, 0], chunk[:, 6] = 0.0075, 1.0
    env = RobotEnv(small(16))
    observation, _ = env.reset(seed=0)
    with pretending(pack({"actions": chunk}), hello={"model": "pi0"}) as (url, heard):
        policy = load_policy(f"{url}:keys={keys}")
        assert policy.metadata == PolicyMetadata(kind="remote", image_sizes={"wrist_1": 0})
        policy.reset(env.task, "insert it", 0)
        actions = policy.act(observation)
        policy.close()
    np.testing.assert_allclose(actions, [[0.5, 0, 0, 0, 0, 0, 1]] * 2)
    assert heard[0]["prompt"] == "insert it"
    assert heard[0]["observation/state"][b"shape"] == [8]
    assert heard[0]["observation/wrist_image"][b"data"] == observation["images"]["wrist_1"].tobytes()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ("Traceback\n  line\nValueError: a bug", RefusedError, "refused: ValueError: a bug$"),
        (b"\xc1", MessageError, "no msgpack"),
        (pack({"action": 1}), MessageError, "got NoneType"),
        (pack({"actions": np.zeros((50, 8))}), MessageError, r"got an array \(50, 8\)"),
        (None, RemoteFault, "no answer within 0.2 s"),
    ],
)
def test_what_a_server_answers_amiss_is_one_sentence(answer, error, said, keys):
    env = RobotEnv(small(16))
    observation, _ = env.reset(seed=0)
    with pretending(answer) as (url, _):
        policy = load_policy(f"{url}:answer=0.2,keys={keys}")
        policy.reset(env.task, "insert it", 0)
        with pytest.raises(error, match=said):
            policy.act(observation)
        policy.close()


def test_a_server_that_is_not_ours_needs_keys_and_ours_takes_none(keys):
    with pretending() as (url, _), pytest.raises(UsageError, match="keys=FILE"):
        load_policy(url)
    with served() as server, pytest.raises(UsageError, match="needs no keys"):
        load_policy(f"{server.url}:keys={keys}")
    with pretending(hello={"protocol": 2}) as (url, _), pytest.raises(MessageError, match="version 2"):
        load_policy(url)
    about = dataclasses.asdict(Counter.metadata) | {"protocol": 1, "image_sizes": "large"}
    with pretending(hello=about) as (url, _), pytest.raises(MessageError, match="image_sizes"):
        load_policy(url)


def test_a_part_that_the_task_does_not_observe_is_named(keys):
    keys.write_text(KEYS.replace("wrist_1", "wrist_9"))
    env = RobotEnv(small(16))
    observation, _ = env.reset(seed=0)
    with pretending() as (url, _):
        policy = load_policy(f"{url}:keys={keys}")
        policy.reset(env.task, "insert it", 0)
        with pytest.raises(UsageError, match=r"images/wrist_9.*it has images/wrist_1"):
            policy.act(observation)
        policy.close()
