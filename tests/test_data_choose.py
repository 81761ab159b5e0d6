"""Choosing episodes by a measure, and the actions of a policy that did not act."""

from dataclasses import replace

import numpy as np
import pytest

from rldg import geometry
from rldg.cli.main import dispatch
from rldg.data.editing.choose import choose_dataset
from rldg.data.editing.relabel import relabel_dataset
from rldg.data.lineage import read_lineage
from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from rldg.env.robot_env import RobotEnv
from rldg.errors import ContractError, DatasetError, UnknownNameError, UsageError
from rldg.generalists.training_data import open_data
from rldg.policies.expert import Expert
from rldg.policies.teleoperator import Teleoperator
from rldg.rollout import rollout
from rldg.tasks import load_task
from tests.synthetic_episodes import make_episode

COLUMNS = {"steps/action", "steps/base_action", "steps/action_normalized"}


def written(folder, episodes):
    writer = DatasetWriter(folder)
    for number, episode in enumerate(episodes):
        writer.write(number, episode)
    return folder


def ids(folder):
    return [entry.metadata["episode_id"] for entry in open_dataset(folder).entries]


def going_to(index, x, length=5):
    """A success whose tool goes straight from the target's axis to `x` [m]."""
    episode = make_episode(index, length)
    path = np.tile(geometry.IDENTITY.astype(np.float32), (length, 1))
    path[:, 0] = np.linspace(0, x, length)
    metadata = replace(episode.metadata, success=True, failure_reason="")
    return replace(episode, metadata=metadata, privileged={"tcp_in_target": path})


def test_the_fastest_successes_of_each_task_are_chosen(tmp_path):
    def of(index, task, length):
        episode = make_episode(index, length)
        return replace(episode, metadata=replace(episode.metadata, task=task))

    lengths = [9, 4, 2, 3, 7, 3, 6, 5]  # numbers 2 and 5 fail
    data = written(tmp_path / "data", [of(i, "ab"[i > 3], n) for i, n in enumerate(lengths)])
    result = choose_dataset(data, "fastest", tmp_path / "fast", count=2)
    assert ids(tmp_path / "fast") == [f"synthetic-{i}" for i in (1, 3, 6, 7)]
    assert (result["episodes"], result["out_of"]) == (4, 8)
    assert open_dataset(tmp_path / "fast").record(0) == open_dataset(data).record(1)
    choose_dataset(data, "fastest", tmp_path / "half", share=0.5, per=())
    assert ids(tmp_path / "half") == [f"synthetic-{i}" for i in (1, 3, 7)]
    lineage = read_lineage(tmp_path / "half")
    assert lineage is not None and lineage.operation == "choose" and lineage.parameters["by"] == "fastest"


def test_diverse_episodes_cover_what_repeated_ones_do_not(tmp_path):
    places = [0.01, 0.011, 0.0, 0.05, 0.0505, -0.05]  # two of each of two kinds, one of two others
    data = written(tmp_path / "data", [going_to(i, x) for i, x in enumerate(places)])
    choose_dataset(data, "diverse", tmp_path / "diverse", count=3, per=())
    kept = [places[int(name.split("-")[-1])] for name in ids(tmp_path / "diverse")]
    assert len(kept) == 3 and min(kept) == -0.05 and max(kept) >= 0.05
    assert min(abs(np.subtract.outer(kept, kept)[~np.eye(3, dtype=bool)])) > 0.03


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"by": "longest", "count": 1}, UnknownNameError, "fastest"),
        ({"by": "fastest"}, UsageError, "count or a share"),
        ({"by": "fastest", "count": 1, "share": 0.5}, UsageError, "count or a share"),
        ({"by": "fastest", "share": 1.5}, UsageError, "not 1.5"),
        ({"by": "fastest", "count": 9}, DatasetError, "only 2 of the 9 successes"),
        ({"by": "fastest", "count": 1, "per": ("tsk",)}, UnknownNameError, "Did you mean 'task'"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(tmp_path, how, error, message):
    data = written(tmp_path / "data", map(make_episode, range(3)))
    with pytest.raises(error, match=message):
        choose_dataset(data, out=tmp_path / "out", **how)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def teleoperated(tmp_path_factory):
    """Two teleoperated episodes without pictures."""
    env = RobotEnv(load_task("usb_a_insertion"), cameras=False)
    folder = tmp_path_factory.mktemp("root") / "teleoperated"
    return written(folder, [rollout(env, Teleoperator(), seed) for seed in range(2)])


def test_states_get_the_actions_that_the_policy_would_have_taken(teleoperated, tmp_path):
    out = tmp_path / "relabelled"
    result = relabel_dataset(teleoperated, out, actions="expert")
    assert result["changed"] == 2
    expert = Expert()
    for before, after in zip(open_dataset(teleoperated), open_dataset(out), strict=True):
        expert.reset(load_task("usb_a_insertion"), "", before.metadata["seed"])
        for t in range(len(before)):
            privileged = {"tcp_in_target": before.steps["observation/tcp_in_target"][t]}
            wanted = expert.act({"state": {}, "images": {}, "privileged": privileged})[0]
            np.testing.assert_allclose(after.steps["action_normalized"][t], wanted, atol=1e-6)
        turned = [
            geometry.rotate_twist(pose, twist)
            for pose, twist in zip(after.to_episode().raw_state["tcp_pose"], after.steps["action"][:, :6], strict=True)
        ]
        np.testing.assert_allclose(after.steps["base_action"][:, :6], turned, atol=1e-6)
        kept = [name for name in before.steps if f"steps/{name}" not in COLUMNS]
        assert all(np.array_equal(before.steps[name], after.steps[name]) for name in kept)
        assert before.metadata == after.metadata
    lineage = read_lineage(out)
    assert lineage is not None and lineage.parameters["actions"] == {
        "kind": "expert",
        "weight_hash": "",
        "stochastic": False,
    }
    assert all(set(origin.changed) == COLUMNS for origin in lineage.episodes["train"])


def test_the_actions_of_who_acted_are_what_was_recorded(teleoperated, tmp_path):
    """Shown its own episode, the teleoperator does again what it did."""
    relabel_dataset(teleoperated, tmp_path / "same", actions="teleoperator")
    for before, after in zip(open_dataset(teleoperated), open_dataset(tmp_path / "same"), strict=True):
        for name in ("action", "base_action", "action_normalized"):
            np.testing.assert_allclose(after.steps[name], before.steps[name], atol=1e-4)


def test_grasping_episodes_keep_the_gripper_as_it_was_told_last(tmp_path):
    env = RobotEnv(load_task("fmb_assembly"), cameras=False)
    data = written(tmp_path / "data", [rollout(env, Expert(), 0)])
    relabel_dataset(data, tmp_path / "same", actions="expert")
    before, after = open_dataset(data)[0], open_dataset(tmp_path / "same")[0]
    assert np.array_equal(before.steps["action"][:, 6], after.steps["action"][:, 6])
    np.testing.assert_allclose(before.steps["action"], after.steps["action"], atol=1e-5)


def test_actions_of_another_meaning_or_from_unrecorded_poses_are_refused(teleoperated, tmp_path):
    def changed(episode, **fields):
        return replace(episode, metadata=replace(episode.metadata, **fields))

    episode = open_dataset(teleoperated)[0].to_episode()
    contract = episode.metadata.action_contract.replace("0.015", "0.02")
    other = written(tmp_path / "other", [changed(episode, action_contract=contract)])
    with pytest.raises(DatasetError, match=r"acted by .*0.02.*usb_a_insertion.*0.015"):
        relabel_dataset(other, tmp_path / "a", actions="expert")
    silent = written(tmp_path / "silent", [changed(episode, action_contract="")])
    with pytest.raises(DatasetError, match="does not say what its actions mean"):
        relabel_dataset(silent, tmp_path / "s", actions="expert")
    blind = written(tmp_path / "blind", [replace(episode, privileged={})])
    with pytest.raises(ContractError, match="tcp_in_target"):
        relabel_dataset(blind, tmp_path / "b", actions="expert")
    with pytest.raises(UsageError, match="A person with a keyboard"):
        relabel_dataset(teleoperated, tmp_path / "person", actions="keyboard")
    assert not any((tmp_path / name).exists() for name in ("a", "b", "person"))
    assert dispatch(["data", "relabel", str(teleoperated), "--actions", "expert", "--out", str(tmp_path / "c")]) == 0


def test_failures_are_trained_on_when_asked_for(tmp_path):
    data = written(tmp_path / "data", [make_episode(i, cameras=("wrist_1",)) for i in range(3)])
    frames = [
        sum(
            len(source)
            for source in open_data([data], {"primary": "wrist_1"}, validation_share=0, seed=0, **how).training
        )
        for how in ({}, {"failures": True})
    ]
    assert frames == [3 + 4, 3 + 4 + 5]
