"""Tasks: everything shipped loads; a wrong YAML is answered with file, line, field and what would be valid."""

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rldg.env.robot_env import RobotEnv
from rldg.errors import RldgError, TaskFileError, UnknownNameError
from rldg.policies.expert import Expert
from rldg.rollout import rollout
from rldg.tasks import Station, Task, load_station, load_task, task_names
from rldg.tasks.box import Box
from rldg.tasks.conditions import Bounds
from rldg.tasks.document import Document
from rldg.tasks.geometry.connector import Connector, Handle
from rldg.tasks.geometry.placing import Bowl, Object, Part, Placing
from rldg.tasks.scene import Randomisation, SimulatedScene, Start
from rldg.tasks.station import CameraMount
from rldg.tasks.task import (
    ActionScale,
    CameraView,
    InsertionDepth,
    JudgedByClassifier,
    JudgedByConditions,
    Placed,
    PoseThreshold,
)

SEEN = {"usb_a_insertion", "ethernet_insertion", "vga_insertion"}
UNSEEN = {"usb_c_insertion", "hdmi_insertion", "displayport_insertion", "xlr_insertion"}
ENDLESS = "a: &a [*a]"


@pytest.fixture
def write(tmp_path):
    """Writes a YAML of one's own and returns its path."""

    def write_file(text: str, name: str = "my.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_file


def test_shipped_connectors_and_their_variants_are_listed():
    expected = {name + suffix for name in SEEN | UNSEEN for suffix in ("", "_tight", "_randomised")}
    assert expected <= set(task_names())
    assert not any(name.startswith("_") for name in task_names())


@pytest.mark.parametrize("name", task_names())
def test_every_shipped_task_loads(name):
    task = load_task(name)
    assert task.name == name
    assert task.sim is not None
    assert len(task.paraphrases) >= 2
    nominal = np.array([*task.reset_offset, 0, 0, 0]) * [1, -1, -1, 1, 1, 1]  # base axes to the target frame's
    assert np.all(nominal + task.reset_noise.low >= task.workspace.low), "the reset must lie inside the workspace"
    assert np.all(nominal + task.reset_noise.high <= task.workspace.high)


def test_seen_and_unseen_connectors_are_told_apart():
    assert all(load_task(name).seen for name in SEEN)
    assert not any(load_task(name).seen for name in UNSEEN)


def test_tasks_differ_by_hash_and_one_task_keeps_its_hash():
    hashes = {load_task(name).hash for name in task_names()}
    assert len(hashes) == len(task_names())
    assert load_task("vga_insertion").hash == load_task("vga_insertion").hash


def test_tight_variant_is_finer_in_clearance_and_time():
    task = load_task("usb_a_insertion_tight")
    assert task.sim is not None
    assert task.sim.geometry.fit == 0.2e-3
    assert task.sim.timestep <= 0.001


def test_randomised_variant_switches_every_randomisation_on():
    task = load_task("hdmi_insertion_randomised")
    assert task.sim is not None
    assert all(task.sim.randomise.model_dump().values())


def test_station():
    station = load_station("sim")
    assert isinstance(station, Station)
    assert {"wrist_1", "side_1"} <= set(station.cameras)
    with pytest.raises(UnknownNameError, match="Did you mean 'sim'"):
        load_station("sims")


def test_own_file_extends_a_shipped_task_and_has_variants_of_its_own(write):
    path = write("extends: usb_a_insertion\nname: mine\nvariants: {slow: {horizon: 200}}")
    assert load_task(path).name == "mine"
    assert load_task(f"{path}:slow").horizon == 200
    assert load_task(f"{path}:slow").name == "mine_slow"
    assert load_task(f"{path}:tight").sim == load_task("usb_a_insertion_tight").sim
    with pytest.raises(UnknownNameError, match=r"'tigth'\. Did you mean 'tight'\? Valid: randomised, slow, tight"):
        load_task(f"{path}:tigth")


def test_own_file_extends_a_file_beside_it(write):
    write("extends: usb_a_insertion\nhorizon: 7", "base.yml")
    assert load_task(write("extends: base.yml\nname: mine")).horizon == 7


def test_another_kind_of_success_replaces_the_old_one_whole(write):
    path = write("extends: usb_a_insertion\nsuccess: {kind: pose_threshold, tolerance: [1, 1, 1, 1, 1, 1]}")
    assert load_task(path).success.kind == "pose_threshold"


def test_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'usb_a_insertion'"):
        load_task("usb_a_insrtion")


USB = "extends: usb_a_insertion\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", r"my\.yaml: the file is empty"),
        ("# nothing\n", r"my\.yaml: the file is empty"),
        ("- a\n- b\n", r"my\.yaml:1: the file must hold a mapping"),
        ("name: a\nrate: [1\n", r"my\.yaml:\d: this is not valid YAML"),
        ("name: a\n---\nname: b\n", r"my\.yaml:\d: this is not valid YAML"),
        ("name: \x07\n", r"my\.yaml.*this is not valid YAML"),
        ("name: 2026-13-45\n", r"my\.yaml.*this is not valid YAML"),
        ("a: !!python/object:os.system x\n", r"my\.yaml:1: this is not valid YAML"),
        ("name: a\nname: b\n", r"my\.yaml:2: the field 'name' is given twice"),
        ("? [a]\n: 1\n", r"my\.yaml:1: a field's name must be text"),
        (ENDLESS, r"my\.yaml:1: an alias must not contain itself"),
        ("extends: nowhere\n", r"my\.yaml:1: 'extends' names 'nowhere', which is neither beside my.yaml nor shipped"),
        ("extends: 3\n", r"my\.yaml:1: 'extends' must be the name of a file, got 3"),
        ("extends: my.yaml\n", r"'extends' runs in a circle: my.yaml -> my.yaml"),
        (USB + "variants: 3\n", r"my\.yaml:2: 'variants' must be a mapping, got 3"),
        (
            USB + "\nhorizn: 3\n",
            r"my\.yaml:3: horizn: there is no such field\. Did you mean 'horizon'\? Valid: action_",
        ),
        (USB + "sim:\n  connector:\n    clearence: 1\n", r"my\.yaml:4: sim\.connector\.clearence: .*'clearance'"),
        (
            USB + "sim:\n  connector:\n    depth: 80\n",
            r"my\.yaml:4: sim\.connector\.depth: must be less than .* 50, got 80",
        ),
        (
            USB + "sim: {timestep: fast}\n",
            r"my\.yaml:2: sim\.timestep: must be a valid number.*got 'fast' \(physics step",
        ),
        (USB + "rate: .nan\n", r"my\.yaml:2: rate: must be a finite number"),
        (USB + "gripper: soft\n", r"my\.yaml:2: gripper: must be 'fixed', 'binary' or 'continuous', got 'soft'"),
        (USB + "success: {kind: luck}\n", r"my\.yaml:2: success: .*'luck'.*'insertion_depth', 'pose_threshold'"),
        (
            USB + "success: {fractoin: 1}\n",
            r"my\.yaml:2: success\.fractoin: .*'fraction'\? Valid: fraction, hold_steps, kind",
        ),
        (USB + "success: {fraction: 2}\n", r"my\.yaml:2: success\.fraction: must be less than or equal to 1, got 2"),
        (USB + "cameras: {wrist_1: {resolution: 3}}\n", r"my\.yaml:2: cameras\.wrist_1\.resolution: must be greater"),
        (USB + "cameras: {wrist_1: {size: 3}}\n", r"my\.yaml:2: cameras\.wrist_1\.size: .* Valid: crop, resolution"),
        (USB + "reset_noise:\n  low: [0, 0]\n", r"my\.yaml:3: reset_noise\.low\.2: this field is missing"),
        (USB + "workspace:\n  low:\n  - 1\n  - a\n", r"my\.yaml:5: workspace\.low\.1: must be a valid number"),
        (USB + "workspace: {low: [1, 1, 1, 1, 1, 1]}\n", r"my\.yaml:2: workspace: low .* must not exceed high"),
        (
            USB + "sim: {connector: {cross_section: [[0, 0], [1, 1]]}}\n",
            r"my\.yaml:2: sim\.connector.*at least 3 corners",
        ),
        (USB + "name: My Task\n", r"my\.yaml:2: name: String should match pattern"),
        ("name: a\n", r"my\.yaml:1: instruction: this field is missing"),
    ],
)
def test_wrong_yaml_is_answered_with_file_line_field_and_what_is_valid(write, text, answer):
    with pytest.raises(TaskFileError, match=answer):
        load_task(write(text))


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(TaskFileError, match=r"nothing\.yaml: there is no such file"):
        load_task(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaskFileError, match="cannot be read as UTF-8"):
        load_task(tmp_path / "binary.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(TaskFileError, match="cannot be read"):
        load_task(tmp_path / "folder.yaml")


def test_a_fault_in_an_extended_file_is_located_there(write):
    write("extends: usb_a_insertion\n\nrate: -1\n", "base.yaml")
    with pytest.raises(TaskFileError, match=r"base\.yaml:3: rate: must be greater than 0, got -1"):
        load_task(write("extends: base\nname: mine\n"))


def test_all_faults_are_told_at_once(write):
    with pytest.raises(TaskFileError) as caught:
        load_task(write(USB + "rate: 0\nhorizon: 0\n"))
    assert len(str(caught.value).splitlines()) == 2


keys = st.text("abc", min_size=1, max_size=2)
values = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8)


def document(data) -> Document:
    return Document(data, {(): "f:1"} | {(key,): "f:1" for key in data})


@given(st.dictionaries(keys, values), st.dictionaries(keys, values))
def test_override_wins_and_leaves_the_rest(base, over):
    merged = document(base).overridden_by(document(over)).data
    assert set(merged) == set(base) | set(over)
    for key in merged:
        if key not in over:
            assert merged[key] == base[key]
        elif not isinstance(over[key], dict) or not isinstance(base.get(key), dict):
            assert merged[key] == over[key]
    assert document(merged).overridden_by(document(over)).data == merged


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(list(Task.model_fields)), st.one_of(values, st.text(), st.lists(values))))
def test_any_yaml_gives_a_task_or_one_clear_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_text(yaml.safe_dump({"extends": "usb_a_insertion"} | data))
    with contextlib.suppress(RldgError):  # any other exception fails the test
        load_task(path)


def test_documentation_names_every_field():
    pages = Path(__file__).parents[1] / "docs"
    text = (pages / "tasks.md").read_text() + (pages / "station.md").read_text()
    documented = set(re.findall(r"\w+", text))
    models = [Task, Station, ActionScale, Box, InsertionDepth, PoseThreshold, JudgedByClassifier, JudgedByConditions]
    models += [CameraView, Bounds]
    models += [SimulatedScene, Connector, Randomisation, CameraMount]
    models += [Placed, Handle, Placing, Object, Part, Bowl, Start]
    fields = {field for model in models for field in model.model_fields}
    assert fields <= documented, sorted(fields - documented)


def test_the_files_in_the_documentation_are_tasks_that_can_be_done(write):
    text = (Path(__file__).parents[1] / "docs" / "tasks.md").read_text()
    examples = re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", text, re.DOTALL)
    paths = {name: write(content, name) for name, content in examples}
    assert set(paths) == {"lightning.yaml", "lightning_pickup.yaml", "lemon.yaml"}
    assert load_task(f"{paths['lightning.yaml']}:tight").name == "lightning_insertion_tight"
    for path in paths.values():
        env = RobotEnv(load_task(path), cameras=False)
        assert rollout(env, Expert(), seed=0).success, path.name
