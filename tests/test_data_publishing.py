"""Collections become one published data set: the same bytes on every engine, and every episode accounted for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from rldg.data.lineage import read_lineage
from rldg.data.manifest import data_files, file_sha256, read_manifest
from rldg.data.publishing.publication import Publication
from rldg.data.publishing.publish import publish
from rldg.data.publishing.tasks import in_process
from rldg.data.reader import open_dataset
from rldg.data.tfrecord import read_records
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, StageChangedError
from tests.synthetic_episodes import make_episode

ROOT = Path(__file__).parents[1]
BEAM_PYTHON = os.environ.get("RLDG_BEAM_PYTHON", "")


def collection(folder, indices, **options):
    writer = DatasetWriter(folder)
    for number, index in enumerate(indices):
        writer.write(number, make_episode(index, **options))
    return str(folder)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two collections, 12 and 9 episodes; every third of them failed."""
    root = tmp_path_factory.mktemp("sources")
    return collection(root / "first", range(12)), collection(root / "sécond", range(20, 29))


def identity(folder, name="plugs"):
    return tfds.core.DatasetIdentity(name, tfds.core.Version("1.0.0"), str(folder), module_name="")


def published(folder, sources, **options):
    call = {key: options.pop(key) for key in ("engine", "overwrite") if key in options}
    return publish(Publication(tuple(sources), **options), folder, identity(folder), **call)


def records(folder):
    """Split -> the records of the published set in their order."""
    files = sorted(Path(folder).glob("*.tfrecord-*"))
    names = {file.name.split("-")[1].split(".")[0] for file in files}
    return {name: [r for f in files if f"-{name}." in f.name for _, r in read_records(f)] for name in names}


def contents(folder):
    """File -> bytes of all that is published, but for the record of the run."""
    return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.name not in ("stage.json", ".lock")}


def test_it_reads_back_in_every_usual_way(sources, tmp_path):
    folder = tmp_path / "data" / "plugs" / "1.0.0"
    told = {"description": "Plugs – gently.", "citation": "@misc{plugs}", "license": "CC-BY-4.0"}
    result = published(folder, sources, validation=0.3, shards=2, **told)
    published(tmp_path / "arrays", sources, file_format="array_record")
    script = [sys.executable, str(Path(__file__).with_name("published_readback.py"))]
    arguments = [str(tmp_path / "data"), "plugs", str(tmp_path / "arrays")]
    done = subprocess.run([*script, *arguments], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])

    ids = {f"synthetic-{index}" for index in [*range(12), *range(20, 29)]}
    assert {name for split in seen["splits"].values() for name, _ in split} == ids
    assert {name for name, _ in seen["data_source"]} == ids and seen["picture"] == [24, 24, 3]
    for split, episodes in seen["splits"].items():
        ours = open_dataset(folder, split)
        assert sorted((e.metadata["episode_id"], e.length) for e in ours.entries) == sorted(map(tuple, episodes))
        assert result["splits"][split]["episodes"] == len(episodes) == sum(seen["lengths"][split])
        assert result["splits"][split]["steps"] == ours.steps
    assert len(seen["lengths"]["train"]) == 2
    assert seen["by_name"] == round(len(seen["splits"]["train"]) / 2)
    assert told == {key: seen[key] for key in told}


def test_records_are_the_sources_own_bytes_and_each_can_be_traced(sources, tmp_path):
    published(tmp_path / "out", sources)
    originals = [[record for _, record in read_records(file)] for s in sources for file in Path(s).glob("*.tfrecord-*")]
    assert sorted(records(tmp_path / "out")["train"]) == sorted(record for file in originals for record in file)
    published(tmp_path / "again", [str(tmp_path / "out")], seed=1)
    lineage = read_lineage(tmp_path / "again")
    for number, record in enumerate(records(tmp_path / "again")["train"]):
        (out, _), (parent, origin) = lineage.trace(number)
        original = open_dataset(parent.path, origin.split)
        assert out.path == str(tmp_path / "out") and parent.path in sources
        assert parent.episodes == {"train": len(original)}
        assert original.record(origin.episode) == record
        assert original.entries[origin.episode].metadata["episode_id"] == origin.episode_id


def test_the_manifest_covers_every_file(sources, tmp_path):
    published(tmp_path / "out", sources)
    listed = read_manifest(tmp_path / "out")
    assert listed == {file.name: file_sha256(file) for file in data_files(tmp_path / "out")}
    assert {"lineage.json", "features.json", "dataset_info.json"} < set(listed)


def test_order_follows_from_the_seed_and_the_episodes_alone(sources, tmp_path):
    published(tmp_path / "one", sources)
    published(tmp_path / "two", sources[::-1])
    published(tmp_path / "three", sources, seed=1)
    one, two, three = (records(tmp_path / name)["train"] for name in ("one", "two", "three"))
    assert one == two
    assert one != three and sorted(one) == sorted(three)
    originals = [open_dataset(source) for source in sources]
    assert one != [dataset.record(number) for dataset in originals for number in range(len(dataset))]


def test_an_episode_stays_in_its_split_when_others_join(sources, tmp_path):
    published(tmp_path / "small", sources[:1], validation=0.4)
    published(tmp_path / "large", sources, validation=0.4)
    small, large = records(tmp_path / "small"), records(tmp_path / "large")
    assert set(small["train"]) < set(large["train"])
    assert set(small["val"]) <= set(large["val"])


def test_splits_of_the_sources_stay_unless_a_share_is_asked_for(tmp_path):
    writer = DatasetWriter(tmp_path / "in")
    writer.write(0, make_episode(0))
    DatasetWriter(tmp_path / "in", "val").write(0, make_episode(1))
    result = published(tmp_path / "out", [str(tmp_path / "in")])
    assert {split: numbers["episodes"] for split, numbers in result["splits"].items()} == {"train": 1, "val": 1}
    assert open_dataset(tmp_path / "out", "val").entries[0].metadata["episode_id"] == "synthetic-1"


def test_failures_stay_out_on_request(sources, tmp_path):
    result = published(tmp_path / "out", sources, successes=True)
    assert all(entry.success for entry in open_dataset(tmp_path / "out").entries)
    assert result["splits"]["train"]["episodes"] == 14 and result["failures_left_out"] == 7


def test_a_broken_record_is_named_or_left_out_and_those_behind_it_stay(sources, tmp_path):
    published(tmp_path / "in", sources[:1])
    (shard,) = (tmp_path / "in").glob("*.tfrecord-*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{shard}: record \d is corrupt"):
        published(tmp_path / "out", [str(tmp_path / "in")])
    assert not (tmp_path / "out" / "dataset_info.json").exists()
    result = published(tmp_path / "other", [str(tmp_path / "in")], skip_broken=True)
    assert result["splits"]["train"]["episodes"] == 11
    assert len(result["broken"]) == 1 and f"{shard}: record" in result["broken"][0]


def test_a_description_that_would_run_code_is_refused(sources, tmp_path):
    source = collection(tmp_path / "in", range(2))
    description = tmp_path / "in" / "features.json"
    description.write_text(description.read_text().replace("features_dict.FeaturesDict", "sneaky.Payload"))
    with pytest.raises(DatasetError, match="sneaky"):
        published(tmp_path / "out", [source])


def test_other_features_are_refused_by_name(sources, tmp_path):
    other = collection(tmp_path / "other", [50], cameras=("wrist", "side"), size=32)
    with pytest.raises(DatasetError, match=r"image_side.*image_wrist"):
        published(tmp_path / "out", [sources[0], other])


def test_what_cannot_be_published_says_why(sources, tmp_path):
    failed = collection(tmp_path / "failed", [2, 5])
    for given, options, sentence in (
        ([], {}, "No source"),
        ([str(tmp_path / "nowhere")], {}, "no features.json"),
        ([sources[0], f"{sources[0]}/"], {}, "given twice"),
        ([failed], {"successes": True}, "no episode to publish"),
        ([failed], {"validation": 0.01}, "another share"),
        ([sources[0], collection(tmp_path / "again", [3])], {}, "the same episode"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            published(tmp_path / f"out-{sentence}", given, **options)
    for wrong in ({"validation": 1.0}, {"shards": 0}, {"shard_size": 0}):
        with pytest.raises(DatasetError):
            Publication((), **wrong)


def test_what_stands_is_reused_refused_or_replaced(sources, tmp_path):
    out = tmp_path / "out"
    result = published(out, sources)
    before = {file: file.stat().st_mtime_ns for file in out.glob("*.tfrecord-*")}
    assert published(out, sources, engine=None) == result  # there is nothing left to do for an engine
    assert {file: file.stat().st_mtime_ns for file in out.glob("*.tfrecord-*")} == before
    with pytest.raises(StageChangedError, match="seed"):
        published(out, sources, seed=3)
    published(out, sources, seed=3, shards=3, overwrite=True)
    assert len(list(out.glob("*.tfrecord-*"))) == 3
    with pytest.raises(StageChangedError, match="inputs"):
        published(out, sources[:1], seed=3, shards=3)
    with pytest.raises(DatasetError, match="another folder"):  # a collection is no place to publish into
        published(Path(sources[0]), sources[1:], overwrite=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(DatasetError, match="another folder"):
        published(tmp_path / "full", sources, overwrite=True)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "precious"


class Interrupting:
    """An engine that stops after so many tasks."""

    def __init__(self, tasks):
        self.tasks = tasks

    def __call__(self, carry_out, paths):
        for path in paths:
            if not self.tasks:
                raise KeyboardInterrupt
            self.tasks -= 1
            in_process(carry_out, [path])


@pytest.mark.parametrize("tasks", [0, 1, 2, 3, 5])
def test_an_interrupted_publication_goes_on_and_ends_the_same(sources, tmp_path, tasks):
    published(tmp_path / "whole", sources, shards=4)
    with pytest.raises(KeyboardInterrupt):
        published(tmp_path / "out", sources, shards=4, engine=Interrupting(tasks))
    assert not (tmp_path / "out" / "dataset_info.json").exists()
    done = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.tfrecord-*")}
    assert len(done) == max(0, tasks - 2)
    (tmp_path / "out" / "plugs-train.tfrecord-00003-of-00004.5eed.tmp").write_bytes(b"half a shard of a killed worker")
    published(tmp_path / "out", sources, shards=4)
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_source_that_changed_meanwhile_is_refused(tmp_path):
    source = collection(tmp_path / "in", range(4))
    with pytest.raises(KeyboardInterrupt):
        published(tmp_path / "out", [source], engine=Interrupting(1))
    first, second = sorted((tmp_path / "in").glob("*.tfrecord-*"))[:2]
    size = first.stat().st_size
    first.write_bytes(second.read_bytes().ljust(size, b"\0")[:size])
    with pytest.raises(DatasetError, match="record 0 has changed"):
        published(tmp_path / "out", [source])
    writer = DatasetWriter(tmp_path / "in")
    writer.write(4, make_episode(9))
    with pytest.raises(StageChangedError, match="inputs"):
        published(tmp_path / "out", [source])


FULL_DISK = """
import resource, sys
from tests.test_data_publishing import published
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
published(sys.argv[1], sys.argv[2:])
"""


def test_a_full_disk_leaves_no_half_shard_and_the_rest_comes_later(sources, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL_DISK, str(out), *sources]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "No space is left" in done.stderr.splitlines()[-1], done.stderr[-2000:]
    assert not list(out.glob("*tfrecord*"))
    published(out, sources)
    assert len(open_dataset(out)) == 21


def run_publish(python, *arguments, **options):
    command = [python, str(ROOT / "datasets" / "publish.py"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=environment, **options)


def test_the_command(sources, tmp_path):
    arguments = ("--name", "plugs", "--out", tmp_path, "--engine", "local", "--json")
    done = run_publish(sys.executable, "--sources", *sources, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["splits"]["train"]["episodes"] == len(open_dataset(result["folder"])) == 21
    again = run_publish(sys.executable, "--sources", tmp_path / "nowhere", *arguments)
    assert again.returncode == 1 and again.stderr.startswith("publish: ") and "Traceback" not in again.stderr
    assert run_publish(sys.executable, "--sources", *sources, "--name", "9 plugs", "--out", tmp_path).returncode == 2


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from usb_a_insertion_rl.usb_a_insertion_rl_dataset_builder import Builder
builder = Builder(data_dir="data")
builder.download_and_prepare()
again = Builder(data_dir="data")
again.download_and_prepare()
assert builder.info.splits["val"].num_examples == again.info.splits["val"].num_examples > 0
assert {"tensorflow", "mujoco", "gymnasium", "jax", "torch"}.isdisjoint(sys.modules), sorted(sys.modules)
"""


def in_folder(folder, *command):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=170, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_named_data_set_builds_with_nothing_heavy_loaded(tmp_path):
    collection(tmp_path / "runs" / "demo" / "data" / "rl", range(30))
    in_folder(tmp_path, sys.executable, "-c", BUILD, str(ROOT / "datasets"))
    folder = tmp_path / "data" / "usb_a_insertion_rl" / "1.0.0"
    assert len(open_dataset(folder, "train")) + len(open_dataset(folder, "val")) == 20


needs_beam = pytest.mark.skipif(
    not BEAM_PYTHON, reason="RLDG_BEAM_PYTHON names no Python with Apache Beam (docs/scale.md)"
)


@needs_beam
def test_tfds_builds_any_sources(tmp_path):
    find = "import sys; from importlib.util import find_spec as f; sys.exit(not (f('tensorflow') and f('mlcroissant')))"
    if subprocess.run([BEAM_PYTHON, "-c", find], timeout=60, check=False).returncode:
        pytest.skip("tfds build needs TensorFlow and mlcroissant beside Beam (docs/scale.md)")
    collection(tmp_path / "in", range(9))
    config = '{"name": "own", "sources": ["in"], "successes": true}'
    build = [
        BEAM_PYTHON,
        "-m",
        "tensorflow_datasets.scripts.cli.main",
        "build",
        str(ROOT / "datasets" / "rldg_episodes"),
    ]
    in_folder(tmp_path, *build, "--data_dir=data", f"--config={config}", "--num_shards=2")
    folder = tmp_path / "data" / "rldg_episodes" / "own" / "1.0.0"
    assert len(open_dataset(folder)) == 6 and len(list(folder.glob("*.tfrecord-*-of-00002"))) == 2


@needs_beam
@pytest.mark.parametrize("workers", [1, 2])
def test_beam_writes_the_same_bytes(sources, tmp_path, workers):
    options = ("--sources", *sources, "--name", "plugs", "--validation", "0.3", "--shards", "3", "--json")
    assert run_publish(sys.executable, *options, "--out", tmp_path / "local", "--engine", "local").returncode == 0
    done = run_publish(BEAM_PYTHON, *options, "--out", tmp_path / "beam", "--workers", workers)
    assert done.returncode == 0, done.stderr[-3000:]
    assert contents(tmp_path / "beam/plugs/1.0.0") == contents(tmp_path / "local/plugs/1.0.0")
