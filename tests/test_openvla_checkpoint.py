"""Checkpoints in the original's layout: what is written, what is read, and what is refused in one sentence."""

import json
import os
import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rldg.errors import CheckpointError, RldgError, StorageError, UsageError
from rldg.generalists.openvla.checkpoint import OWN, load_checkpoint, save_checkpoint
from rldg.generalists.openvla.config import LlamaSizes, model_config
from rldg.generalists.openvla.source import is_openvla
from rldg.resolve import load_policy
from tests.hub_server import serving
from tests.openvla_golden import SHARED, STATISTICS, needs_shared, read, write

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small checkpoint of ours; not to be changed."""
    folder = tmp_path_factory.mktemp("openvla") / "checkpoint"
    write(folder)
    return folder


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


# What is written and read


@needs_shared
def test_a_round_trip_keeps_every_bit_and_every_file_of_the_original(tmp_path):
    found = load_checkpoint(SHARED / "model")
    save_checkpoint(tmp_path / "c", found.model.state_dict(), found.processor, found.norm_stats)
    assert {path.name for path in (tmp_path / "c").iterdir()} == {path.name for path in (SHARED / "model").iterdir()}
    for path in (SHARED / "model").iterdir():
        if path.suffix == ".json":
            ours, theirs = json.loads((tmp_path / "c" / path.name).read_text()), json.loads(path.read_text())
            ours.pop(OWN, None)
            assert ours == theirs, path.name
        else:
            assert (tmp_path / "c" / path.name).read_bytes() == path.read_bytes(), path.name
    keys = read("state_dict_keys.json")
    state = load_file(tmp_path / "c" / WEIGHTS)
    assert {k: {"shape": list(v.shape), "dtype": str(v.dtype)} for k, v in state.items()} == keys


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shards_hold_what_one_file_holds(dtype, tmp_path):
    state = write(tmp_path / "one", dtype=dtype)
    write(tmp_path / "many", dtype=dtype, shard=500_000)
    assert len(list((tmp_path / "many").glob("model-0000*-of-0000*.safetensors"))) > 2
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == state.keys()
    assert index["metadata"]["total_size"] == sum(value.numel() * dtype.itemsize for value in state.values())
    loaded = [load_checkpoint(tmp_path / name) for name in ("one", "many")]
    expected = {name: value.to(dtype) for name, value in state.items()}
    for found in loaded:
        assert same(dict(found.model.state_dict()), expected)
    wide = load_checkpoint(tmp_path / "many", dtype=torch.float64)
    assert {value.dtype for value in wide.model.state_dict().values()} == {torch.float64}


def test_what_only_we_know_comes_back(checkpoint):
    found = load_checkpoint(checkpoint)
    assert found.step == 7
    assert found.image_sizes == {"wrist_1": 48}
    assert found.action_contract.rate == 10.0
    assert found.norm_stats == STATISTICS
    assert len(found.weight_hash) == 16
    assert found.weight_hash == load_checkpoint(checkpoint, dtype=torch.float64).weight_hash  # of the files


def test_statistics_beside_the_weights_replace_the_bases(copy):
    """The original's fine-tuning writes its own into `dataset_statistics.json`, and leaves the base's in the config."""
    (copy / "dataset_statistics.json").write_text(json.dumps({"mine": STATISTICS["some_set"]}))
    assert list(load_checkpoint(copy).norm_stats) == ["mine"]
    (copy / "dataset_statistics.json").unlink()
    assert list(load_checkpoint(copy).norm_stats) == ["some_set"]


def test_parallel_decoding_is_kept_in_the_checkpoint(tmp_path):
    state = write(tmp_path / "c", replace(model_config("openvla-debug"), decoding="parallel"))
    found = load_checkpoint(tmp_path / "c")
    assert found.config.decoding == "parallel"
    assert same(dict(found.model.state_dict()), state)
    image = {"wrist_1": np.zeros((48, 48, 3), np.uint8)}
    action = load_policy(str(tmp_path / "c")).predict(image, "go")
    assert action.shape == (1, 7) and np.isfinite(action).all()
    with pytest.raises(UsageError, match="nothing to sample"):
        load_policy(str(tmp_path / "c")).predict(image, "go", seed=1)


def test_a_run_of_several_steps_gives_its_last_or_the_one_asked_for(tmp_path):
    for step in (5, 10):
        write(tmp_path / str(step), seed=step)
    assert is_openvla(tmp_path)
    last, first = load_policy(str(tmp_path)), load_policy(f"{tmp_path}@5")
    assert last.metadata.weight_hash == load_checkpoint(tmp_path / "10").weight_hash
    assert first.metadata.weight_hash == load_checkpoint(tmp_path / "5").weight_hash
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 7; it has \[5, 10\]"):
        load_checkpoint(tmp_path, 7)


def test_a_full_disk_leaves_what_was_there(copy, monkeypatch):
    found = load_checkpoint(copy)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rldg.generalists.openvla.weights.save_file", full)
    with pytest.raises(StorageError, match="No space left"):
        save_checkpoint(copy, found.model.state_dict(), found.processor, STATISTICS)
    assert load_checkpoint(copy).weight_hash == found.weight_hash
    assert not copy.with_name("copy.tmp").exists()


MEMORY = """
import sys, torch
from pathlib import Path
from rldg.generalists.openvla.checkpoint import load_checkpoint

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024

load_checkpoint(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")
before = peak()
found = load_checkpoint(sys.argv[2], dtype=getattr(torch, sys.argv[3]))
weights = sum(value.nbytes for value in found.model.state_dict().values())
print((peak() - before) / weights, weights)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(("layers", "dtype"), [(12, "bfloat16"), pytest.param(60, "float32", marks=pytest.mark.slow)])
def test_loading_takes_hardly_more_memory_than_the_weights(layers, dtype, checkpoint, tmp_path):
    llama = LlamaSizes(256, 4096, layers, 4, 4)
    write(tmp_path / "c", replace(model_config("openvla-debug"), llama=llama), dtype=torch.bfloat16, shard=50_000_000)
    command = [sys.executable, "-c", MEMORY, str(checkpoint), str(tmp_path / "c"), dtype]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    share, weights = map(float, run.stdout.split())
    assert weights > 1e8
    assert share < 1.15


# Adapters


def adapter(folder, base, **changes):
    from peft import LoraConfig, get_peft_model

    model = load_checkpoint(base).model
    torch.manual_seed(1)
    with_adapter = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "fc1"], init_lora_weights=False))
    with_adapter.save_pretrained(str(folder))
    content = json.loads((folder / "adapter_config.json").read_text())
    content |= {"base_model_name_or_path": str(base)} | changes
    (folder / "adapter_config.json").write_text(json.dumps(content))
    return with_adapter


def test_an_adapter_is_put_onto_the_base_that_it_names(checkpoint, tmp_path):
    trained = adapter(tmp_path / "lora", checkpoint)
    merged = load_checkpoint(tmp_path / "lora")
    beside = load_checkpoint(tmp_path / "lora", merge=False)
    assert any(value.requires_grad for value in beside.model.parameters())
    assert merged.weight_hash != load_checkpoint(checkpoint).weight_hash
    wanted = trained.merge_and_unload().state_dict()
    for name, value in merged.model.state_dict().items():
        torch.testing.assert_close(value, wanted[name])
    assert load_policy(str(tmp_path / "lora")).metadata.weight_hash == merged.weight_hash


def test_adapters_that_fit_nothing_are_refused(checkpoint, tmp_path):
    folder = tmp_path / "lora"
    adapter(folder, checkpoint)
    for name, said in ((None, "does not name"), ("nowhere", "no folder here"), ("/nowhere/at/all", "no folder here")):
        content = json.loads((folder / "adapter_config.json").read_text()) | {"base_model_name_or_path": name}
        (folder / "adapter_config.json").write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=said):
            load_checkpoint(folder)
    with pytest.raises(CheckpointError, match=r"lacks config\.json"):  # its own base
        load_checkpoint(folder, base=folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({name: value[:1].contiguous() for name, value in weights.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="cannot be put onto its model"):
        load_checkpoint(folder, base=checkpoint)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="pickle, which is not read"):
        load_checkpoint(folder, base=checkpoint)


# What is refused


def edit(folder, name, change):
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def reweigh(folder, change):
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


def cut(folder, name, share):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])


NAN = "projector.fc1.bias"
REFUSED = {
    "not an OpenVLA": lambda f: edit(f, "config.json", lambda c: c.update(model_type="llama", architectures=["Llama"])),
    "is phi": lambda f: edit(f, "config.json", lambda c: c["text_config"].update(model_type="phi")),
    "rope_scaling": lambda f: edit(f, "config.json", lambda c: c["text_config"].update(rope_scaling={"factor": 2})),
    "tower 'resnet' is unknown": lambda f: edit(f, "config.json", lambda c: c.update(timm_model_ids=["resnet"])),
    "no entry 'timm_model_ids'": lambda f: edit(f, "config.json", lambda c: c.pop("timm_model_ids")),
    "num_hidden_layers": lambda f: edit(f, "config.json", lambda c: c["text_config"].update(num_hidden_layers=10**9)),
    "no multiple of": lambda f: edit(f, "config.json", lambda c: c["text_config"].update(num_attention_heads=3)),
    "equally many patches": lambda f: edit(f, "config.json", lambda c: c.update(image_sizes=[1, 1])),
    "activation": lambda f: edit(f, "config.json", lambda c: c.update(timm_override_act_layers=["quick_gelu", None])),
    "another rldg": lambda f: edit(f, "config.json", lambda c: c["rldg"].update(novel=1)),
    "config.json cannot be read": lambda f: (f / "config.json").write_text("{"),
    "instead of named entries": lambda f: (f / "config.json").write_text("[]"),
    "lacks config.json": lambda f: (f / "config.json").unlink(),
    "no preprocessor_config.json": lambda f: (f / "preprocessor_config.json").unlink(),
    "not that of OpenVLA's processor": lambda f: (f / "preprocessor_config.json").write_text("{}"),
    "towers take": lambda f: edit(f, "config.json", lambda c: c.update(image_sizes=[48, 48])),
    "no tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    "read as a tokenizer": lambda f: (f / "tokenizer.json").write_text("plain text"),
    "no weights": lambda f: (f / WEIGHTS).unlink(),
    "as pickles \\(model.bin\\)": lambda f: (f / WEIGHTS).rename(f / "model.bin"),
    "no safetensors file": lambda f: (f / WEIGHTS).write_text("plain text"),
    "cut short": lambda f: cut(f, WEIGHTS, 0.5),
    "or is damaged": lambda f: (f / WEIGHTS).write_bytes(b""),
    "lacks 8 tensors": lambda f: reweigh(
        f,
        lambda s: [
            s.pop(k) for k in list(s) if k.startswith("projector") or k.endswith(("head.weight", "model.norm.weight"))
        ],
    ),
    "holds 1 tensors that its OpenVLA has not, such as extra": lambda f: reweigh(
        f, lambda s: s.update(extra=s[NAN].clone())
    ),
    "is of shape \\(3,\\)": lambda f: reweigh(f, lambda s: s.update({NAN: torch.zeros(3)})),
    "is of I64": lambda f: reweigh(f, lambda s: s.update({NAN: s[NAN].long()})),
    "not finite": lambda f: reweigh(f, lambda s: s[NAN].fill_(float("nan"))),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(said, copy):
    REFUSED[said](copy)
    with pytest.raises(CheckpointError, match=said) as refusal:
        load_checkpoint(copy)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_missing_and_straying_shards_are_named(tmp_path):
    write(tmp_path / "c", shard=500_000)
    index = tmp_path / "c" / "model.safetensors.index.json"
    first = tmp_path / "c" / json.loads(index.read_text())["weight_map"][NAN]
    first.rename(tmp_path / "aside")
    with pytest.raises(CheckpointError, match=f"lacks {first.name}"):
        load_checkpoint(tmp_path / "c")
    for wrong in ({"weight_map": {NAN: "../aside"}}, {"weight_map": {}}, {}, []):
        index.write_text(json.dumps(wrong))
        with pytest.raises(CheckpointError, match=r"index.json cannot be read"):
            load_checkpoint(tmp_path / "c")


@pytest.mark.parametrize("content", [{}, {"run.npz": ""}, {"stage.json": "{}"}, {"notes.txt": "x"}])
def test_other_folders_are_told_apart(content, tmp_path):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    assert not is_openvla(tmp_path)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)
    for place in (tmp_path / "nowhere", tmp_path / next(iter(content), "x")):
        with pytest.raises(CheckpointError, match="hf://owner/name"):
            load_checkpoint(place)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS])
def test_damage_anywhere_is_a_sentence_or_harmless(name, copy):
    """Bytes changed, cut and added at random places: the checkpoint loads, or says what is wrong; it never crashes."""
    rng = np.random.default_rng(0)
    whole = (copy / name).read_bytes()
    head = min(len(whole), 8 + struct.unpack("<Q", whole[:8])[0]) if name == WEIGHTS else len(whole)
    for trial in range(12):
        content = bytearray(whole)
        place = int(rng.integers(head))
        match trial % 3:
            case 0:
                content[place] ^= 1 << int(rng.integers(8))
            case 1:
                del content[place:]
            case _:
                content[place:place] = rng.bytes(3)
        (copy / name).write_bytes(content)
        with suppress(RldgError):
            load_checkpoint(copy)


# The hub


def test_a_hub_id_brings_what_is_needed_and_no_pickle(checkpoint, tmp_path):
    published = shutil.copytree(checkpoint, tmp_path / "published")
    (published / "pytorch_model.bin").write_bytes(b"not for us")
    script = "import sys; from rldg.resolve import load_policy; print(load_policy(sys.argv[1]).metadata.weight_hash)"
    with serving("some-lab/openvla-debug", published) as hub:
        run = subprocess.run(
            [sys.executable, "-c", script, "hf://some-lab/openvla-debug"],
            env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip() == load_checkpoint(checkpoint).weight_hash
        assert "pytorch_model.bin" not in hub.served
        assert WEIGHTS in hub.served
