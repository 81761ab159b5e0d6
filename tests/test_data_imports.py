"""Other people's episodes as RLDS in our contract: SERL's pickles and the sets that RLDG's authors published."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rldg.cli.main import dispatch
from rldg.data.exchange.importing import import_dataset
from rldg.data.exchange.rlds_import import RldsImport
from rldg.data.exchange.serl import SerlImport
from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from rldg.env.types import STATE_PARTS, ActionContract
from rldg.errors import DatasetError, UnknownNameError, UsageError
from tests.serl_pickles import make_transitions, write_pickle
from tests.synthetic_episodes import make_episode

SERL = SerlImport("insert the USB plug", (0.015, 0.1))


def test_hil_serl_demonstrations(tmp_path, capsys):
    transitions, states = make_transitions(lengths=(4, 3))
    source = write_pickle(tmp_path / "usb_20_demos.pkl", transitions)
    command = ["data", "import", str(source), "--from", "serl", "--out", str(tmp_path / "out"), "--json"]
    with pytest.raises(UsageError, match="needs --instruction and --action-scale, which the source does not say"):
        dispatch(command)
    assert dispatch([*command, "--instruction", SERL.instruction, "--action-scale", "0.015", "0.1"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["episodes"], result["steps"]) == (2, 7)
    assert any("base_action" in note for note in result["notes"])

    first, second = open_dataset(tmp_path / "out")
    assert (len(first), len(second)) == (4, 3)
    emitted = np.stack([t["actions"] for t in transitions[:4]])
    np.testing.assert_array_equal(first.steps["action_normalized"], emitted)
    np.testing.assert_allclose(first.steps["action"][:, :3], 0.015 * emitted[:, :3], rtol=1e-6)
    np.testing.assert_allclose(first.steps["action"][:, 6], (emitted[:, 6] + 1) / 2, rtol=1e-6)
    for part in ("gripper_pose", "tcp_force", "tcp_torque", "tcp_vel"):
        expected = np.stack([state[part] for state in states[4:]])
        np.testing.assert_array_equal(second.steps[f"observation/{part}"], expected)
    pose = second.steps["observation/tcp_pose"]
    np.testing.assert_array_equal(pose[:, :3], [state["tcp_pose"][:3] for state in states[4:]])
    angles = Rotation.from_quat(pose[:, 3:]).as_euler("xyz")
    np.testing.assert_allclose(angles, [state["tcp_pose"][3:] for state in states[4:]], atol=1e-6)
    parts = [second.steps[f"observation/{part}"] for part in STATE_PARTS]
    np.testing.assert_array_equal(second.steps["observation/state"], np.concatenate(parts, axis=1))
    assert first.steps["reward"].tolist() == [0, 0, 0, 1]
    assert first.steps["is_terminal"].tolist() == [False] * 3 + [True]
    assert not second.steps["is_terminal"].any(), "SERL calls a time-out an end; here it is none"
    assert (first.metadata["success"], second.metadata["success"]) == (True, False)
    assert second.metadata["failure_reason"] == "unknown"
    assert first.steps["is_intervention"].tolist() == [False, True, False, False]
    contract = ActionContract(**json.loads(first.metadata["action_contract"]))
    assert contract == ActionContract(0.015, 0.1, 10.0, "binary")
    picture = transitions[2]["observations"]["wrist_1"][0].astype(int)
    assert np.abs(first.steps["observation/image_wrist_1"][2] - picture).mean() < 5  # noise, through JPEG


def test_rlds_roll_outs_of_rldg(tmp_path):
    """Six dimensions, no gripper in the state, and the raw state beside it."""
    transitions, _ = make_transitions(lengths=(3,), dimensions=6, with_gripper=False, raw=True)
    import_dataset(write_pickle(tmp_path / "rollout.pkl", transitions), tmp_path / "out", SERL)
    (episode,) = open_dataset(tmp_path / "out")
    raw = transitions[1]["original_state_obs"]
    expected = np.concatenate([np.atleast_1d(raw[part]) for part in STATE_PARTS])
    np.testing.assert_allclose(episode.steps["observation/raw_state"][1], expected, rtol=1e-6)
    assert episode.steps["observation/state"][:, -1].tolist() == [0.25] * 3, "the raw state knows the gripper"
    assert episode.steps["action"].shape == (3, 7) and not episode.steps["action"][:, 6].any()
    assert json.loads(episode.metadata["action_contract"])["gripper"] == "fixed"


def test_a_state_of_unknown_parts_is_kept_as_it_is(tmp_path):
    transitions, _ = make_transitions(infos=False)
    for transition in transitions:
        for name in ("observations", "next_observations"):
            transition[name] = transition[name] | {"state": transition[name]["state"][:, :9]}
    source = write_pickle(tmp_path / "buffer.pkl", transitions)
    result = import_dataset(source, tmp_path / "out", SERL)
    steps = open_dataset(tmp_path / "out")[0].steps
    assert "observation/state" not in steps and "is_intervention" not in steps
    np.testing.assert_array_equal(steps["observation/serl_state"][1], transitions[1]["observations"]["state"][0])
    assert any("9 numbers" in note for note in result["notes"])
    named = SerlImport("x", (0.015, 0.1), state_keys=("tcp_force", "tcp_pose"))
    import_dataset(source, tmp_path / "named", named)
    assert open_dataset(tmp_path / "named")[0].steps["observation/tcp_pose"].shape == (4, 7)
    with pytest.raises(DatasetError, match="cannot be tcp_vel"):
        import_dataset(source, tmp_path / "other", SerlImport("x", (1, 1), state_keys=("tcp_vel",)))
    with pytest.raises(UnknownNameError, match="Did you mean 'tcp_pose'"):
        import_dataset(source, tmp_path / "third", SerlImport("x", (1, 1), state_keys=("tcp_pos",)))


def test_dumps_of_a_buffer_go_on_from_file_to_file(tmp_path):
    """An actor dumps every so many steps, in the middle of an episode; file 1000 comes after file 200."""
    transitions, _ = make_transitions(lengths=(5, 4))
    (tmp_path / "buffer").mkdir()
    for name, part in (("1000", transitions[3:7]), ("200", transitions[:3])):
        write_pickle(tmp_path / "buffer" / f"transitions_{name}.pkl", part)
    import_dataset(tmp_path / "buffer", tmp_path / "out", SERL)
    first, second = open_dataset(tmp_path / "out")
    assert (len(first), len(second)) == (5, 2)
    assert second.metadata["failure_reason"] == "incomplete"
    # Without the dump in between, what comes after does not go on from what came before.
    write_pickle(tmp_path / "buffer" / "transitions_200.pkl", transitions[:2])
    import_dataset(tmp_path / "buffer", tmp_path / "gap", SERL)
    assert [len(episode) for episode in open_dataset(tmp_path / "gap")] == [2, 2, 2]
    with pytest.raises(DatasetError, match=r"holds no \*\.pkl; there are some in .*buffer"):
        import_dataset(tmp_path, tmp_path / "../elsewhere", SERL)


@pytest.mark.parametrize(
    "content",
    [
        {"observations": 1},
        [],
        [1],
        [{}],
        [{"observations": {"state": 1}}],
        [{"observations": []}],
        make_transitions(lengths=(2,))[0] + make_transitions(lengths=(2,), dimensions=6)[0],
        make_transitions(lengths=(2,))[0] + make_transitions(lengths=(2,), size=8)[0],
        make_transitions(lengths=(2,))[0] + make_transitions(lengths=(2,), infos=False)[0],
        [make_transitions(lengths=(1,))[0][0] | {"dones": "yes"}],
        [
            {
                **make_transitions(lengths=(1,))[0][0],
                "observations": {"state": np.zeros(19), "depth": np.zeros((4, 4, 1))},
            }
        ],
        [make_transitions(lengths=(1,))[0][0] | {"infos": [1]}],
    ],
)
def test_what_are_no_transitions_of_one_environment_is_refused_in_a_sentence(tmp_path, content):
    with pytest.raises(DatasetError) as refusal:
        import_dataset(write_pickle(tmp_path / "demos.pkl", content), tmp_path / "out", SERL)
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    script = Path(__file__).with_name("tfds_published.py")
    done = subprocess.run([sys.executable, str(script), str(root)], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-2000:]
    return root


@pytest.mark.parametrize(
    ("name", "action"), [("ethernet_insert_rl_dataset", "eef_action"), ("pepper_pick_place_rl_dataset", "base_action")]
)
def test_data_sets_of_rldgs_authors(published, tmp_path, name, action):
    source = published / name / "1.0.0"
    result = import_dataset(source, tmp_path / "out", RldsImport())
    before, after = open_dataset(source), open_dataset(tmp_path / "out")
    assert result["episodes"] == len(after) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new.steps["action"][:, :6], old.steps[action], strict=True)
        assert new.steps["action"].shape[1] == 7 and not new.steps["action"][:, 6].any()
        pictures = "observation/image_wrist_1"
        assert new.steps[pictures].encoded == old.steps[pictures].encoded
        assert new.steps["language_instruction"] == old.steps["language_instruction"]
        assert new.steps["is_first"].tolist() == [True] + [False] * (len(old) - 1)
        assert new.steps["is_last"][-1]
    assert ("base_action" in after[0].steps) == (action == "base_action")
    assert any("base frame" in note for note in result["notes"]) == (action == "base_action")
    assert any("reward" in note for note in result["notes"]), "what is left out is said"


def test_rlds_of_ours_passes_through_unchanged(tmp_path):
    writer = DatasetWriter(tmp_path / "set")
    for index in range(3):
        writer.write(index, make_episode(index))
    import_dataset(tmp_path / "set", tmp_path / "out", RldsImport())
    before, after = open_dataset(tmp_path / "set"), open_dataset(tmp_path / "out")
    assert after.fields == before.fields
    assert [after.record(i) for i in range(3)] == [before.record(i) for i in range(3)]
    with pytest.raises(UnknownNameError, match="action column 'eef'"):
        import_dataset(tmp_path / "set", tmp_path / "other", RldsImport(action="eef"))
