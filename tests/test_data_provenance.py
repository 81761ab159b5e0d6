"""Every episode says where it came from, for every kind of policy, and can be run again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rldg.cli.main import dispatch
from rldg.data.reader import open_dataset
from rldg.data.replay import replay
from rldg.data.writer import DatasetWriter
from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract
from rldg.errors import DatasetError, UsageError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.expert import Expert
from rldg.policies.intervention import Intervention, NoProgress
from rldg.policies.teleoperator import Teleoperator
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.specialists.networks import init_layers
from rldg.specialists.policy import SpecialistPolicy, save_specialist
from rldg.specialists.spec import AgentSpec
from rldg.stage import code_version
from rldg.tasks import load_task

TASK = "usb_a_insertion"


class Loiters(Policy):
    """Comes down to the socket and then moves no more, in chunks of four."""

    metadata = PolicyMetadata(kind="specialist", weight_hash="feed", checkpoint_step=7)

    def reset(self, task, instruction, seed=0):
        self._expert = Expert()
        self._expert.reset(task, instruction, seed)

    def act(self, observation):
        action = self._expert.act(observation)
        if np.linalg.norm(observation["privileged"]["tcp_in_target"][:3]) < 0.02:
            action[:, :6] = 0
        return action.repeat(4, axis=0)


@pytest.fixture(scope="module")
def env():
    return RobotEnv(load_task(TASK), cameras=False)


@pytest.fixture(scope="module")
def specialist(tmp_path_factory):
    """A run folder with an untrained specialist."""
    folder = tmp_path_factory.mktemp("specialist")
    task = load_task(TASK)
    spec = AgentSpec(actions=6)
    actor = {"trunk": init_layers(np.random.default_rng(0), (spec.features_size, 16, 12))}
    policy = SpecialistPolicy(actor, spec, ActionContract.of(task), checkpoint_step=1200)
    save_specialist(folder, policy, task)
    return folder


@pytest.fixture(scope="module")
def collected(tmp_path_factory, specialist):
    """Data sets by policy, as the command line collects them."""
    folders = {}
    for policy in ("expert", "teleoperator:clumsy", str(specialist), f"{specialist}+teleoperator"):
        folders[policy] = tmp_path_factory.mktemp("data") / "set"
        command = ["collect", TASK, "--policy", policy, "--episodes", "1", "--seed", "3", "--stochastic"]
        assert dispatch([*command, "--out", str(folders[policy]), "--operator", "A. Smith"]) == 0
    return folders


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_field_is_filled_for_every_kind_of_policy(collected, specialist):
    task = load_task(TASK)
    kinds = ("expert", "teleoperator:clumsy", "specialist", "specialist+teleoperator")
    for kind, (policy, folder) in zip(kinds, collected.items(), strict=True):
        metadata = open_dataset(folder).entries[0].metadata
        about = load_policy(policy, stochastic=True).metadata
        trained = "specialist" in kind
        expected = {
            "episode_id": f"{TASK}-{kind}-3-00000",
            "task": TASK,
            "task_hash": task.hash,
            "judged_by": task.success.kind,
            "policy_kind": kind,
            "checkpoint_hash": about.weight_hash,
            "checkpoint_step": 1200 if trained else 0,
            "backend": "mujoco",
            "station": "sim",
            "code_version": code_version(),
            "stochastic": trained,
            "operator": "A. Smith",
        }
        assert expected.items() <= metadata.items()
        assert bool(metadata["checkpoint_hash"]) == (kind != "expert")
        assert metadata["success"] == (metadata["failure_reason"] == "")
        assert metadata["time"].endswith("+00:00")
        assert json.loads(metadata["action_contract"])["rate"] == task.rate
        assert json.loads(metadata["success_rule"]) == task.success.model_dump()
        cameras = json.loads(metadata["cameras"])
        assert cameras.keys() == task.cameras.keys()
        assert all({"crop", "resolution", "fovy", "exposure"} <= camera.keys() for camera in cameras.values())


def test_an_operator_takes_over_where_the_policy_gets_no_further_and_is_marked(env):
    alone = rollout(env, Loiters(), seed=1)
    assert alone.metadata.failure_reason == "time_out"
    helped = rollout(env, Intervention(Loiters(), Teleoperator()), seed=1)
    assert helped.success
    assert (helped.metadata.policy_kind, helped.metadata.checkpoint_hash) == ("specialist+teleoperator", "feed")
    begun = int(np.argmax(helped.is_intervention))
    assert 0 < begun < len(helped), "the policy acts first"
    assert not helped.is_intervention[:begun].any()
    np.testing.assert_array_equal(helped.action[:begun], alone.action[:begun])
    again = rollout(env, Intervention(Loiters(), Teleoperator()), seed=1)
    np.testing.assert_array_equal(again.action_normalized, helped.action_normalized)
    never = rollout(env, Intervention(Expert(), Teleoperator()), seed=1)
    assert not never.is_intervention.any()
    assert len(never) == len(rollout(env, Expert(), seed=1))


def test_the_operator_hands_back_once_it_is_clearly_nearer():
    rule = NoProgress(patience=0.3, progress=0.001, relief=0.005)
    rule.reset(load_task(TASK))  # 10 control steps per second
    distances = [0.030, 0.020, 0.020, 0.0199, 0.020, 0.018, 0.0151, 0.0149, 0.013, 0.013, 0.013, 0.013]
    seen = [rule.takes_over({"privileged": {"tcp_in_target": np.array([0, 0, d, 0, 0, 0, 1])}}) for d in distances]
    assert seen == [False] * 4 + [True] * 3 + [False] * 4 + [True]


def test_show_prints_all_provenance(collected, capsys):
    folder = list(collected.values())[-1]
    assert dispatch(["data", "show", str(folder), "0"]) == 0
    printed = capsys.readouterr().out
    stored = open_dataset(folder)[0]
    assert all(f"{name}: {value}" in printed for name, value in stored.metadata.items())
    assert f"intervention share: {stored.steps['is_intervention'].mean():.0%}" in printed


def test_an_episode_is_reproduced_from_its_actions_and_from_its_policy(collected, capsys):
    mixture = list(collected)[-1]
    for policy, how in (("expert", []), (mixture, []), (mixture, ["--policy", mixture])):
        folder = collected[policy]
        assert dispatch(["data", "replay", str(folder), "0", "--json", *how]) == 0
        result = last_line(capsys)
        assert result["reproduced"]
        assert result["differences"] == []
        assert result["steps"][0] == result["steps"][1] == open_dataset(folder).entries[0].length


def test_what_is_not_reproduced_is_named_with_its_first_step(collected, capsys, tmp_path):
    stored = open_dataset(collected["expert"])[0].to_episode()
    stored.action_normalized[5, 0] += 0.2  # not what was done
    folder = tmp_path / "set"
    DatasetWriter(folder).write(0, stored)
    assert dispatch(["data", "replay", str(folder), "0", "--json"]) == 1
    result = last_line(capsys)
    found = {difference["column"]: difference for difference in result["differences"]}
    assert found["action"]["step"] == 5
    assert found["action"]["largest"] == pytest.approx(0.2 * load_task(TASK).action_scale.translation, rel=0.01)
    assert found["observation/tcp_in_target"]["step"] == 6
    assert found["observation/image_wrist_1"]["largest"] >= 1
    assert dispatch(["data", "replay", str(folder), "0"]) == 1
    assert "not reproduced" in capsys.readouterr().out


def test_another_policy_or_a_changed_task_is_refused_unless_allowed(collected, tmp_path, capsys):
    dataset = open_dataset(collected["teleoperator:clumsy"])
    with pytest.raises(DatasetError, match=r"recorded with another policy \(.*, now none\); --allow-changes"):
        replay(dataset, 0, policy="expert")
    changed = replay(dataset, 0, policy="expert", allow_changes=True)
    assert not changed.reproduced
    assert changed.changed
    other = tmp_path / "task.yaml"
    dispatch(["tasks", "show", TASK])
    other.write_text(capsys.readouterr().out.replace("horizon: 100", "horizon: 101"))
    with pytest.raises(DatasetError, match="recorded with another task"):
        replay(dataset, 0, task=str(other))


def test_what_cannot_be_replayed_is_refused(collected, tmp_path):
    with pytest.raises(UsageError, match="episodes 0 to 0, not 1"):
        dispatch(["data", "replay", str(collected["expert"]), "1"])
    real = open_dataset(collected["expert"])[0].to_episode()
    real = replace(real, metadata=replace(real.metadata, backend="franka", station="left_arm"))
    DatasetWriter(tmp_path / "set").write(0, real)
    with pytest.raises(UsageError, match="recorded on 'left_arm'; only simulation can be replayed"):
        replay(open_dataset(tmp_path / "set"), 0)
