"""Foreign, damaged and mutated checkpoints: each is answered by one clear sentence."""

import errno
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import msgpack
import numpy as np
import pytest

from rldg.errors import CheckpointError
from rldg.generalists.octo.checkpoint import CONFIG, EXAMPLE, STATISTICS, load_checkpoint
from rldg.generalists.octo.weights import flat, packed, read_tree
from tests import octo_golden as golden
from tests.octo_checkpoints import as_original, edit, same, write
from tests.octo_golden import SHARED, needs_shared

WEIGHTS = "10/default/checkpoint"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small checkpoint of ours; not to be changed."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write(folder)
    return folder


@pytest.fixture
def copy(checkpoint, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(checkpoint, tmp_path / "copy")


# What is refused


def spec(name, module="octo.model.components.vit_encoders", **keywords):
    return {"module": module, "name": name, "args": [], "kwargs": keywords}


REFUSED = {
    "UnetDiffusionActionHead": lambda m: m["model"]["heads"]["action"].update(name="UnetDiffusionActionHead"),
    "ResNet26FILM": lambda m: primary(m).update(encoder=spec("ResNet26FILM")),
    "my_lab.heads": lambda m: m["model"]["heads"]["action"].update(module="my_lab.heads"),
    "'value'": lambda m: m["model"]["readouts"].update(value=1),
    "readout_key='obs'": lambda m: m["model"]["heads"]["action"]["kwargs"].update(readout_key="obs"),
    "image_secondary": lambda m: primary(m).update(obs_stack_keys=["image_primary", "image_secondary"]),
    "proper_pad_mask=False": lambda m: primary(m).update(proper_pad_mask=False),
    "MuseEmbedding": lambda m: m["text_processor"].update(name="MuseEmbedding"),
    "distilbert": lambda m: m["model"]["task_tokenizers"]["language"]["kwargs"].update(encoder="distilbert"),
    "encode_with_model": lambda m: m["text_processor"]["kwargs"].update(encode_with_model=True),
    "task tokenizers": lambda m: m["model"]["task_tokenizers"].update(goal=spec("ImageTokenizer")),
    "novel_option": lambda m: m["model"].update(novel_option=3),
    "num_layers": lambda m: m["model"]["transformer_kwargs"].pop("num_layers"),
    "max_horizon": lambda m: m["model"].pop("max_horizon"),
    "positional": lambda m: m["model"]["heads"]["action"].update(args=[1]),
    "token_embedding_size": lambda m: m["model"].pop("token_embedding_size"),
    "\\(76, 16\\) instead of \\(78, 16\\)": lambda m: m["model"].update(token_embedding_size=18),
    "layers": lambda m: m["model"]["transformer_kwargs"].update(num_layers=10**9),
    "instead of": lambda m: m["model"]["heads"]["action"]["kwargs"].update(action_dim=9),
    "cannot be built": lambda m: m["model"]["transformer_kwargs"].update(num_attention_heads=0),
    "cannot be read": lambda m: m.update(model=[1]),
}


def primary(config):
    return config["model"]["observation_tokenizers"]["primary"]["kwargs"]


@pytest.mark.parametrize("named", REFUSED)
def test_parts_that_this_package_lacks_are_refused_by_name(named, copy):
    as_original(copy)
    edit(copy / CONFIG, REFUSED[named])
    with pytest.raises(CheckpointError, match=named) as refusal:
        load_checkpoint(copy)
    assert CONFIG in str(refusal.value)


def without(*files):
    def remove(folder):
        for file in files:
            (folder / file).unlink()

    return remove


def overwritten(file, content):
    return lambda folder: (folder / file).write_bytes(content)


def cut(file, size):
    return lambda folder: os.truncate(folder / file, size)


def weights_of(leaf):
    return overwritten(WEIGHTS, b"".join(packed({"octo_transformer": {"kernel": leaf}})))


def statistics_of(mean):
    content = {"action": {"mean": mean, "std": [1.0] * len(mean)}}
    return overwritten(STATISTICS, json.dumps(content).encode())


def lose_one(folder):
    params = read_tree(folder / WEIGHTS)
    del params["octo_transformer"]["obs_primary_projection"]["kernel"]
    (folder / WEIGHTS).write_bytes(b"".join(packed(params)))


def array_of(shape, dtype="float32", raw=b"1234"):
    leaf = msgpack.ExtType(1, msgpack.packb((shape, dtype, raw)))
    return overwritten(WEIGHTS, msgpack.packb({"octo_transformer": {"kernel": leaf}}))


def ten(times, inner):
    for _ in range(times):
        inner = b"\x81\xa1a" + inner
    return inner


DAMAGED = {
    "empty weights": (overwritten(WEIGHTS, b""), "checkpoint cannot be read"),
    "cut weights": (cut(WEIGHTS, 5000), "checkpoint cannot be read"),
    "text as weights": (overwritten(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\n"), "cannot be read"),
    "integers": (weights_of(np.zeros(3, np.int32)), "int32"),
    "not a number": (weights_of(np.array([1.0, np.nan], np.float32)), "not finite"),
    "no transformer": (overwritten(WEIGHTS, b"".join(packed({"actor": np.zeros(3, np.float32)}))), "octo_transformer"),
    "a single weight": (weights_of(np.zeros(3, np.float32)), "1 arrays"),
    "a missing weight": (lose_one, "kernel is missing"),
    "an array for a tree": (overwritten(WEIGHTS, msgpack.packb([1, 2])), "list"),
    "10^12 elements": (array_of((10**6, 10**6)), "4000000000000"),
    "10^30 elements": (array_of((10**6,) * 5), "instead of"),
    "negative sizes": (array_of((-1, -4)), "shape"),
    "an object": (array_of((1,), "object", b"12345678"), "object"),
    "a map of 4 billion": (overwritten(WEIGHTS, b"\xdf\xff\xff\xff\xff" + b"\0" * 50_000), "cannot be read"),
    "a list of 4 billion": (overwritten(WEIGHTS, b"\xdd\xff\xff\xff\xff" + b"\0" * 50_000), "cannot be read"),
    "4 GB of bytes": (overwritten(WEIGHTS, b"\x81\xa1a\xc6\xff\xff\xff\xff1234"), "cannot be read"),
    "a well without bottom": (overwritten(WEIGHTS, ten(100_000, b"\xc0")), "cannot be read"),
    "a timestamp": (overwritten(WEIGHTS, b"\x81\xa1a\xd6\xff\x00\x00\x00\x00"), "cannot be read"),
    "numbered entries": (overwritten(WEIGHTS, msgpack.packb({1: 2})), "cannot be read"),
    "a run of an earlier rldg": (overwritten(CONFIG, b'{"model": {"images": []}, "finetune": {}}'), "earlier rldg"),
    "broken JSON": (overwritten(CONFIG, b'{"model": '), "config.json cannot be read"),
    "a list as JSON": (overwritten(CONFIG, b"[1, 2]"), "list"),
    "a deep JSON": (overwritten(CONFIG, b"[" * 100_000), "config.json cannot be read"),
    "no text": (overwritten(CONFIG, b"\xff\xfe\x00"), "config.json cannot be read"),
    "no configuration": (without(CONFIG), "config.json cannot be read"),
    "no statistics": (without(STATISTICS), "dataset_statistics.json cannot be read"),
    "empty statistics": (overwritten(STATISTICS, b"{}"), "no statistics"),
    "statistics of no action": (overwritten(STATISTICS, b'{"a": {"proprio": 1}}'), "data set 'a'"),
    "statistics of text": (overwritten(STATISTICS, b'{"a": "b"}'), "data set 'a'"),
    "eight numbers": (
        overwritten(STATISTICS, json.dumps({"action": {"mean": [0] * 8, "std": [1] * 8}}).encode()),
        "8 numbers",
    ),
    "an infinite mean": (statistics_of([float("inf")]), "finite"),
    "no example": (without(EXAMPLE), "example_batch.msgpack cannot be read"),
    "an empty example": (overwritten(EXAMPLE, msgpack.packb({})), "no observation"),
    "no weights": (without(WEIGHTS), "holds nothing, but no octo_transformer"),
    "no step": (lambda folder: shutil.rmtree(folder / "10"), "holds no checkpoint"),
    "a folder as weights": (lambda folder: (without(WEIGHTS)(folder), (folder / WEIGHTS).mkdir()), "cannot be read"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_damaged_checkpoint_is_answered_by_one_sentence_and_little_memory(fault, copy):
    damage, expected = DAMAGED[fault]
    damage(copy)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=expected) as refusal:
            load_checkpoint(copy)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)


def test_folders_of_something_else_are_called_what_they_are(checkpoint, tmp_path):
    def folder(name, *files):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
        return tmp_path / name

    expected = {
        tmp_path / "nowhere": "does not exist",
        folder("empty"): "is empty",
        folder("openvla", "config.json", "model-00001-of-00003.safetensors"): "PyTorch",
        folder("specialist", "specialist.npz", "stage.json"): "specialist",
        folder("begun", "stage.json"): "not written a checkpoint yet",
        folder("other", "notes.txt"): "no checkpoint",
        checkpoint / CONFIG: "is a file",
        checkpoint / "10": "one step",
    }
    for path, words in expected.items():
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(path)


def test_a_file_that_may_not_be_read_is_named(copy, monkeypatch):
    def forbidden(path, *_, **__):  # root, who runs some tests, may read everything
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(CheckpointError, match=r"config.json cannot be read: Permission denied"):
        load_checkpoint(copy)


def mutated(content, rng):
    """The bytes with a few of them changed, cut out, doubled, or lost at the end."""
    data = bytearray(content)
    where = int(rng.integers(len(data)))
    match rng.integers(4):
        case 0:
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                data[place] ^= 1 << rng.integers(8)
        case 1:
            del data[where:]
        case 2:
            del data[where : where + int(rng.integers(1, 40))]
        case 3:
            data[where:where] = data[where : where + int(rng.integers(1, 40))]
    return bytes(data)


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("file", [WEIGHTS, CONFIG, STATISTICS, EXAMPLE])
def test_no_mutation_of_a_file_does_worse_than_a_clear_refusal(file, original, copy):
    if original:
        as_original(copy)
    rng, content = np.random.default_rng(0), (copy / file).read_bytes()
    sentences = set()
    for _ in range(30):
        # Structure is dense at the beginning of the weights; later bytes are mostly numbers.
        head = content[:2000] if file == WEIGHTS and rng.random() < 0.5 else content
        (copy / file).write_bytes(mutated(head, rng) + content[len(head) :])
        try:
            found = load_checkpoint(copy)
        except CheckpointError as error:
            sentences.add(str(error))
        else:
            assert all(np.isfinite(leaf).all() for leaf in flat(found.params).values())
    assert sentences
    assert not any("\n" in sentence for sentence in sentences)


@needs_shared
def test_no_mutation_of_the_tensorstore_layout_does_worse_either(tmp_path):
    source = SHARED / "checkpoints_alt" / "l1_ocdbt"
    folder = shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    weights = golden.weights("l1_proprio")
    files = sorted(path for path in (folder / "1001").rglob("*") if path.is_file())
    rng, refused = np.random.default_rng(1), 0
    for number in range(13):
        path = files[number % len(files)]
        content = path.read_bytes()
        path.write_bytes(mutated(content, rng))
        try:
            found = load_checkpoint(folder)
        except CheckpointError:
            refused += 1
        else:
            assert flat(found.params).keys() == flat(weights).keys()
        path.write_bytes(content)
    assert refused
    assert same(load_checkpoint(folder).params, weights)
