"""Statistics: exact in one pass, and in the originals' files under the originals' names."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rldg.cli.main import dispatch
from rldg.data.manifest import read_manifest, write_manifest
from rldg.data.reader import open_dataset
from rldg.data.registration.entry import Registration
from rldg.data.registration.statistics_files import (
    loader_input_statistics,
    octo_statistics,
    openvla_statistics,
    tfds_description,
)
from rldg.data.statistics import BLOCK, ColumnStatistics, compute_statistics
from rldg.data.views import joined, open_splits
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from tests.foreign_sets import write_foreign
from tests.synthetic_episodes import make_episode

GOLDEN = Path(__file__).parent / "golden" / "statistics"
OCTO = GOLDEN / "octo" / "synth_arm_b" / "1.0.0"
OPENVLA = GOLDEN / "openvla" / "toy_pick" / "1.0.0"
OF_NUMPY = {
    "mean": lambda x: x.mean(axis=0, dtype=np.float64),
    "std": lambda x: x.std(axis=0, dtype=np.float64),
    "min": lambda x: x.min(axis=0),
    "max": lambda x: x.max(axis=0),
    "q01": lambda x: np.quantile(x, np.array(0.01), axis=0),
    "q99": lambda x: np.quantile(x, np.array(0.99), axis=0),
}
EXACT = ("min", "max", "q01", "q99")


def entry_of(folder, **fields):
    """What the golden files were made with: no transform of ours, hence only the statistics matter."""
    name, version = folder.parts[-2:]
    known = {"data_dir": str(folder.parents[1]), "action": "action", "action_size": 7}
    known |= {"instruction": "language_instruction", "single": "image", "primary": "image", "wrist": None}
    return Registration(**known | {"name": name, "version": version, "state": "state", "has_pose": False} | fields)


@given(
    values=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 500), st.integers(1, 3)), elements=st.floats(-1e3, 1e3, width=32)
    ),
    spare=st.integers(0, 300),
    cuts=st.lists(st.integers(0, 500), max_size=5),
)
def test_one_pass_gives_what_numpy_gives_for_all_at_once(values, spare, cuts):
    column = ColumnStatistics(len(values) + spare)
    for part in np.split(values, sorted(cuts)):
        column.add(part)
    found = column.result()
    for name, of_numpy in OF_NUMPY.items():
        assert_same = np.testing.assert_array_equal if name in EXACT else np.testing.assert_allclose
        tolerance = {} if name in EXACT else {"rtol": 1e-6, "atol": 1e-9}
        constant = values.min(axis=0) == values.max(axis=0)
        expected = np.where(constant, {"std": 0}.get(name, values[0]), of_numpy(values))
        assert_same(np.array(found[name]), expected, **tolerance)


def test_many_blocks_give_the_same_and_keep_two_percent():
    values = np.random.default_rng(0).normal(3, 2, size=(8 * BLOCK, 2)).astype(np.float32)
    column = ColumnStatistics(len(values))
    for part in np.array_split(values, 500):
        column.add(part)
        assert sum(map(len, column._waiting)) <= BLOCK
    found = column.result()
    assert len(column._lowest) + len(column._highest) < 0.021 * len(values)
    for name, of_numpy in OF_NUMPY.items():
        np.testing.assert_allclose(found[name], of_numpy(values), rtol=0 if name in EXACT else 1e-12)


def test_octos_file_is_the_one_that_octo_wrote():
    golden = json.loads((GOLDEN / "octo" / "dataset_statistics.json").read_text())["synth_arm_b"]
    entry = entry_of(OCTO)
    described = tfds_description(OCTO, "/golden/rlds/public/synth_arm_b/1.0.0", "data_path")
    assert described + "state" == golden["hash_input_concatenated"]
    assert hashlib.sha256(f"{described}state".encode()).hexdigest() in golden["file"]
    found = octo_statistics(described, entry, loader_input_statistics(joined(open_splits(OCTO)), entry)).content
    compare(found, golden["content"], exact=("min", "max", "p01", "p99"))


def test_openvlas_file_is_the_one_that_openvla_wrote():
    golden = json.loads((GOLDEN / "openvla" / "reference.json").read_text())
    entry = entry_of(OPENVLA)
    described = tfds_description(OPENVLA, "GOLDEN/rlds/toy_pick/1.0.0", "data_dir")
    assert described == golden["builder_info_str"]
    found = openvla_statistics(described, entry, loader_input_statistics(joined(open_splits(OPENVLA)), entry)).content
    expected = golden["statistics"]["toy_pick"]
    expected["action"].pop("mask")  # the loader adds it after reading
    compare(found, expected, exact=EXACT)


def compare(found, expected, exact):
    """Keys in the same order; counts, bounds and quantiles the same to the bit.

    The originals sum in single precision, so their means and deviations are off by what that costs.
    """
    assert list(found) == list(expected)
    for name, column in expected.items():
        if isinstance(column, int):
            assert found[name] == column
            continue
        assert list(found[name]) == list(column)
        for key, values in column.items():
            if key in exact:
                assert found[name][key] == values
            np.testing.assert_allclose(found[name][key], values, rtol=2e-6, atol=1e-7)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "root" / "usb_rl" / "1.0.0"
    writer = DatasetWriter(folder)
    for index in range(6):
        writer.write(index, make_episode(index))
    return folder


def test_stats_prints_successes_and_writes_what_all_episodes_give(folder, capsys):
    write_manifest(folder)
    assert dispatch(["data", "stats", str(folder), "--write", "octo", "openvla", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["num_trajectories"], len(open_dataset(folder))) == (4, 6)
    for loader, quantile in (("octo", "p99"), ("openvla", "q99")):
        path = Path(printed["written"][loader])
        stored = json.loads(path.read_text())
        assert (stored["num_trajectories"], len(stored["action"][quantile])) == (6, 7)
        assert path.name in read_manifest(folder)


def test_statistics_of_a_foreign_set_find_its_action_and_fill_it_up(tmp_path, capsys):
    folder = tmp_path / "vga_insert_rl_dataset" / "1.0.0"
    write_foreign(folder, 3)
    assert dispatch(["data", "stats", str(folder), "--write", "octo", "openvla", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["action"]["mean"]) == 6
    octo = json.loads(Path(printed["written"]["octo"]).read_text())
    assert (len(octo["action"]["p99"]), octo["action"]["p99"][6], "proprio" in octo) == (7, 0.0, False)


def test_what_has_no_statistics_is_named(tmp_path, folder):
    dataset = open_dataset(folder)
    with pytest.raises(DatasetError, match=r"no column 'eef_action'; it has action, .*reward"):
        compute_statistics(dataset, action="eef_action")
    with pytest.raises(DatasetError, match="'reward' holds no vector"):
        compute_statistics(dataset, action="reward")
    with pytest.raises(DatasetError, match="'language_instruction' holds no vector"):
        compute_statistics(dataset, action="language_instruction")
    episode = make_episode(0)
    episode.action[1, 2] = np.nan
    DatasetWriter(tmp_path / "broken").write(0, episode)
    with pytest.raises(DatasetError, match="'action' of episode 'synthetic-0' holds a value that is not finite"):
        compute_statistics(open_dataset(tmp_path / "broken"))
