"""What fine-tuning OpenVLA promises: the original's update, what it leaves acts, and no kill changes it."""

import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file

from rldg.cli.finetune import openvla as verb
from rldg.data.normalisation import Normalisation
from rldg.data.reader import open_dataset
from rldg.data.steps import StepSource
from rldg.data.transform import RLDG_OPENVLA
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, StageError, UnknownNameError, UsageError
from rldg.generalists.openvla.batches import SLOT, collated, image_transform, open_loader
from rldg.generalists.openvla.checkpoint import load_checkpoint
from rldg.generalists.openvla.config import model_config
from rldg.generalists.openvla.learner import Learner, error_scale, named_errors, unreached
from rldg.generalists.openvla.lora import add_adapters, save_adapters
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.optimizers import learning_rate
from rldg.generalists.openvla.policy import load_openvla
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.recipes import RECIPES, FinetuneConfig, recipe
from rldg.generalists.openvla.source import checkpoint_steps
from rldg.generalists.openvla.state import weights_of
from rldg.generalists.openvla.train import finetune
from rldg.generalists.progress import Progress
from rldg.generalists.training_data import open_data
from tests.synthetic_episodes import write_recorded

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT.parent / "shared" / "golden" / "openvla"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="the original's files are not here")
slow = pytest.mark.slow
FOUR_BITS = importlib.util.find_spec("bitsandbytes") is not None
DEBUG = FinetuneConfig(
    model="openvla-debug",
    steps=6,
    batch_size=8,
    checkpoint_every=2,
    log_every=1,
    warmup_steps=1,
    validation_share=0.2,
    lora_rank=2,
    optimizer="adamw",
    epsilon=1e-3,  # so that AdamW does not blow rounding errors in gradients of zero up
)
ORIGINAL = FinetuneConfig(
    optimizer="adamw",
    target_spread=0.0,
    weight_decay=0.01,
    mode="lora",
    batch_size=3,
    learning_rate=5e-4,
    schedule="constant",
    warmup_steps=0,
    clip_gradient=0.0,
)


def debug(**changes):
    return dataclasses.replace(DEBUG, **changes)


def variant(name):
    """A mode, or the mode "full" with another optimiser."""
    return debug(optimizer="muon") if name == "muon" else debug(mode=name)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_recorded(tmp_path_factory.mktemp("data") / "synthetic")


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    finetune(DEBUG, [dataset], out, seed=1)
    return out


@pytest.fixture(scope="module")
def adapted(dataset, run, tmp_path_factory):
    """Adapters on the last checkpoint of `run`."""
    out = tmp_path_factory.mktemp("adapted")
    finetune(debug(mode="lora", steps=2, learning_rate=1e-2), [dataset], out, seed=2, init=run, merge=True)
    return out


def weights(folder, step=None):
    return load_checkpoint(folder, step).model.state_dict()


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# The original's update


def golden_adapters(name):
    found = load_file(GOLDEN / "lora" / name / "adapter_model.safetensors")
    return {n.removeprefix("base_model.model.").replace(".weight", ".default.weight"): t for n, t in found.items()}


@pytest.fixture(scope="module")
def original():
    """The original's model with its initial adapters, its batch, and what `adapter_config.json` says of ours."""
    given = load_checkpoint(GOLDEN / "model", dtype=torch.float32)
    described = add_adapters(given.model, ORIGINAL)
    model, start = dict(given.model.named_parameters()), golden_adapters("adapter_init")
    assert {name for name, parameter in model.items() if parameter.requires_grad} == set(start)
    with torch.no_grad():
        for name, value in start.items():
            model[name].copy_(value)
    forward, pixels = np.load(GOLDEN / "forward.npz"), np.load(GOLDEN / "processor.npz")
    batch = {name: torch.from_numpy(forward[name]) for name in ("input_ids", "attention_mask", "labels")}
    batch["pixel_values"] = torch.from_numpy(np.concatenate([pixels[f"pixel_values_{n}"] for n in range(3)]))
    return given.model, batch, described


@needs_golden
def test_five_updates_of_adapters_are_the_originals(original, tmp_path):
    model, batch, described = original
    expected = json.loads((GOLDEN / "lora" / "finetune.json").read_text())
    learner = Learner(model, ORIGINAL, 0, np.ones(7), Accelerator())
    loss, _ = learner.objective(batch)
    loss.backward()
    norms = {
        f"base_model.model.{name.replace('.default', '')}": None if p.grad is None else p.grad.norm().item()
        for name, p in model.named_parameters()
        if ".lora_" in name
    }
    wanted = expected["grad_norms_step0"]
    assert {n for n, norm in norms.items() if norm is None} == {n for n, norm in wanted.items() if norm is None}
    reached = [name for name, norm in wanted.items() if norm is not None]
    np.testing.assert_allclose([norms[n] for n in reached], [wanted[n] for n in reached], rtol=1e-4, atol=1e-6)
    learner.objective.zero_grad()
    for row in expected["history"]:
        found = learner.update(row["step"], batch)
        assert found["loss"] == pytest.approx(row["loss"], abs=2e-5)
        assert found["action_accuracy"] == pytest.approx(row["action_accuracy"])
        assert found["action_l1"] == pytest.approx(row["action_l1"], abs=1e-6)
        assert found["gradient_norm"] == pytest.approx(row["grad_norm_total"], rel=1e-4)
        if row["step"] == 0:
            after, mine = golden_adapters("adapter_step1"), weights_of(learner, frozen=True)
            for name, value in after.items():
                np.testing.assert_allclose(mine[name], value, atol=1e-6)
            save_adapters(tmp_path, mine, described, "tiny_openvla")
            with torch.no_grad():
                logits = model(*(batch[n] for n in ("input_ids", "attention_mask", "pixel_values"))).logits
            golden = np.load(GOLDEN / "lora" / "after_step1.npz")
            seen = np.insert(np.load(GOLDEN / "forward.npz")["attention_mask"], [1] * 256, True, axis=1)
            close = np.abs(logits.logsumexp(-1).numpy() - golden["logits_logsumexp"])[seen]
            assert close.max() < 1e-4
    theirs = GOLDEN / "lora" / "adapter_step1"
    same_file = load_file(tmp_path / "adapter_model.safetensors")
    assert {n: t.shape for n, t in same_file.items()} == {
        n: t.shape for n, t in load_file(theirs / "adapter_model.safetensors").items()
    }
    config, original_config = (json.loads((f / "adapter_config.json").read_text()) for f in (tmp_path, theirs))
    assert set(config) <= set(original_config)  # its version of peft refuses what it does not know
    original_config["target_modules"].sort()
    assert {name: original_config[name] for name in config} == config


@needs_golden
def test_the_originals_adapters_merge_to_its_loss_and_actions(original):
    _, batch, _ = original
    found = load_checkpoint(GOLDEN / "lora" / "adapter_step1", base=GOLDEN / "model", dtype=torch.float32)
    golden = np.load(GOLDEN / "lora" / "after_step1.npz")
    with torch.no_grad():
        output = found.model(**batch)
    assert output.loss.item() == pytest.approx(float(golden["merged_loss"]), abs=2e-5)
    prompt = found.processor.inference_prompt(json.loads((GOLDEN / "prompts.json").read_text())["instructions"][0])
    asked = found.processor(prompt, np.asarray(Image.open(GOLDEN / "images" / "img0.png").convert("RGB")))
    ids = found.model.generate_actions(**asked)
    action = found.processor.actions.decode(ids.numpy())[0]
    statistics = found.norm_stats["tiny_bridge"]["action"]
    low, high = np.array(statistics["q01"]), np.array(statistics["q99"])
    restored = np.where(statistics["mask"], 0.5 * (action + 1) * (high - low) + low, action)
    np.testing.assert_allclose(restored, golden["merged_predict_action_sample0"], rtol=1e-9)


@needs_golden
def test_the_loader_gives_what_the_originals_gave(tmp_path):
    folder = shutil.copytree(GOLDEN / "rlds" / "toy_pick", tmp_path / "toy_pick") / "1.0.0"
    reference = np.load(GOLDEN / "rlds" / "reference_loader.npz")
    statistics = json.loads((GOLDEN / "rlds" / "reference.json").read_text())["statistics"]["toy_pick"]
    source = StepSource(
        open_dataset(folder),
        {SLOT: "observation/image"},
        action_normalisation=Normalisation.of(statistics, mode="bounds_q99"),
    )
    transform = image_transform(model_config("openvla-7b"), FinetuneConfig())
    assert source.episode.max() + 1 == reference["n_train_trajectories"]
    for episode in range(source.episode.max() + 1):
        rows = np.flatnonzero(source.episode == episode)
        np.testing.assert_allclose(source.actions[rows], reference[f"train_{episode}_normalized_action"], atol=1e-6)
        told = source.instructions[source.instruction[rows]]
        assert told.tolist() == reference[f"train_{episode}_language"].tolist()
        for row, when in ((rows[0], "first"), (rows[-1], "last")):
            picture = transform.resized(source.picture(SLOT, row)).astype(int)
            assert np.abs(picture - reference[f"train_{episode}_image_primary_{when}"]).max() <= 1


# What is trained, and on what


def random_batch(size=8, seed=0):
    rng, processor = np.random.default_rng(seed), Processor(model_config("openvla-debug"))
    loaded = {
        "observation": {f"image_{SLOT}": rng.integers(0, 256, (size, 1, 32, 32, 3)).astype(np.uint8)},
        "task": {"language_instruction": np.array(["pick it up", "Insert the USB-A connector"] * (size // 2))},
        "action": rng.uniform(-1, 1, (size, 1, 1, 7)).astype(np.float32),
    }
    return loaded, collated(loaded, processor)


def learner_of(config, scale=1.0, model=None):
    torch.manual_seed(0)
    model = model or OpenVLA(model_config("openvla-debug"))
    if config.mode == "lora":
        add_adapters(model, config)
    return Learner(model, config, 0, np.full(7, scale), Accelerator())


def test_a_prompt_is_answered_by_seven_tokens_and_an_end_which_alone_are_learnt():
    loaded, batch = random_batch()
    processor = Processor(model_config("openvla-debug"))
    for row, action in enumerate(loaded["action"][:, 0, 0]):
        length = int(batch["attention_mask"][row].sum())
        wanted = [*processor.actions.encode(action).tolist(), 2]
        assert batch["input_ids"][row, length - 8 : length].tolist() == wanted
        assert batch["labels"][row, length - 8 : length].tolist() == wanted
        assert (batch["labels"][row] != -100).sum() == 8
        assert not batch["attention_mask"][row, length:].any()
    assert batch["pixel_values"].shape == (8, 6, 32, 32)


@pytest.mark.parametrize("changes", [{"accumulate": 4}, {"checkpoint_blocks": True}], ids=str)
def test_what_saves_memory_leaves_the_update_as_it_is(changes):
    whole, saving = learner_of(debug(schedule="constant")), learner_of(debug(schedule="constant", **changes))
    for step in range(3):
        _, batch = random_batch(seed=step)
        one, other = whole.update(step, batch), saving.update(step, batch)
        assert other == pytest.approx(one, rel=1e-5)
    mine = weights_of(whole, frozen=True)
    for name, value in weights_of(saving, frozen=True).items():
        np.testing.assert_allclose(value, mine[name], atol=1e-6)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_what_is_not_trained_keeps_every_bit_and_the_rest_moves(mode):
    learner = learner_of(debug(mode=mode, schedule="constant", learning_rate=1e-2))
    before = {name: value.clone() for name, value in weights_of(learner, frozen=True).items()}
    for step in range(3):
        learner.update(step, random_batch(seed=step)[1])
    after = weights_of(learner, frozen=True)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    unused = [".blocks.1.", "featurizer.norm.", "attn_pool"]
    expected = {n for n in before if (mode == "full" or ".lora_" in n) and not any(part in n for part in unused)}
    assert moved == expected
    assert len(list(unreached(OpenVLA(model_config("openvla-debug"))))) == len(before) - len(moved) or mode == "lora"


def test_bfloat16_computes_close_to_float32_and_keeps_trained_weights_in_float32():
    one, half = learner_of(debug()), learner_of(debug(compute="bfloat16"))
    _, batch = random_batch()
    assert half.update(0, batch)["loss"] == pytest.approx(one.update(0, batch)["loss"], rel=1e-2)
    assert {value.dtype for value in weights_of(half, frozen=False).values()} == {torch.float32}


def test_errors_are_in_metres_and_radians():
    low, high = [-0.01] * 3 + [-0.2] * 3 + [0.0], [0.03] * 3 + [0.2] * 3 + [1.0]
    statistics = {"action": {"q01": low, "q99": high, "mask": [True] * 6 + [False]}}
    scale = error_scale(statistics)
    off = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.5])
    actions = np.zeros((1, 7), np.float32)
    to_units = Normalisation.of(statistics, mode="bounds_q99")
    real = np.abs(to_units.restore(actions + off) - to_units.restore(actions))[0]
    found = named_errors(off, scale)
    assert found["position_l1_m"] == pytest.approx(real[:3].mean(), rel=1e-5)
    assert found["rotation_l1_rad"] == pytest.approx(real[3:6].mean(), rel=1e-5)
    assert found["action_l1"] == pytest.approx(off.mean())


def test_two_shards_read_what_one_does(dataset):
    data = open_data([dataset], {SLOT: "wrist_1"}, validation_share=0.0, seed=0, normalisation="bounds_q99")
    transform = image_transform(model_config("openvla-debug"), DEBUG)
    whole = open_loader(data.training, transform, DEBUG, 0, augment=True).batch(3)
    halves = [
        open_loader(data.training, transform, DEBUG, 0, augment=True, shard=shard, shards=2).batch(3)
        for shard in (0, 1)
    ]
    for shard, half in enumerate(halves):
        assert np.array_equal(half["action"], whole["action"][shard::2])
        assert np.array_equal(half["observation"][f"image_{SLOT}"], whole["observation"][f"image_{SLOT}"][shard::2])
    assert np.abs(whole["action"][..., :6]).max() <= 1


# A whole training


def test_finetuning_leaves_a_policy_metrics_and_the_kept_checkpoints(run, dataset):
    assert checkpoint_steps(run) == [2, 4, 6]
    assert not (run / "state.safetensors").exists()
    lines = lines_of(run)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert {"validation_loss", "validation_action_accuracy", "validation_position_l1_m"} <= set(lines[1])
    assert lines[-1]["loss"] < lines[0]["loss"]
    policy = load_openvla(run, 4)
    assert (policy.metadata.statistics_key, policy.metadata.checkpoint_step) == ("synthetic", 4)
    assert policy.metadata.image_sizes == {"wrist_1": 24}
    assert policy.metadata.action_contract == ActionContract(0.015, 0.1, 10.0, "fixed")
    assert policy.predict({"wrist_1": np.zeros((24, 24, 3), np.uint8)}, "insert it").shape == (1, 7)
    again = finetune(DEBUG, [dataset], run, seed=1)
    assert again["updates"] == 6
    with pytest.raises(StageError, match="learning_rate"):
        finetune(debug(learning_rate=1.0), [dataset], run, seed=1)


def test_adapters_act_as_the_whole_model_that_they_merge_to(run, adapted):
    assert {path.name for path in (adapted / "2").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.json",
        "dataset_statistics.json",
    }
    frame = {"wrist_1": np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)}
    one, other = load_openvla(adapted), load_openvla(adapted / "merged")
    assert np.array_equal(one.predict(frame, "insert it"), other.predict(frame, "insert it"))
    base, merged = weights(run), weights(adapted / "merged")
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    assert changed
    assert all(np.linalg.matrix_rank((merged[n] - base[n]).flatten(1), tol=1e-6) <= 2 for n in changed)


def test_peft_itself_reads_the_adapters(run, adapted):
    from peft import PeftModel

    frame = random_batch(2)[1]
    with torch.no_grad():
        found = PeftModel.from_pretrained(load_checkpoint(run).model, str(adapted / "2"))
        mine = load_checkpoint(adapted).model
        np.testing.assert_allclose(found(**frame).loss, mine(**frame).loss, rtol=1e-5)


def test_a_checkpoint_is_tried_when_asked_and_the_outcome_logged(dataset, tmp_path):
    tried = []

    def try_out(step, folder):
        tried.append((step, load_openvla(folder, step).metadata.checkpoint_step))
        return {"success": step / 10}

    finetune(debug(validation_share=0.0), [dataset], tmp_path, seed=1, on_checkpoint=try_out)
    assert tried == [(2, 2), (4, 4), (6, 6)]
    assert {line["step"]: line["success"] for line in lines_of(tmp_path) if "success" in line} == {
        2: 0.2,
        4: 0.4,
        6: 0.6,
    }


def test_a_model_learns_to_decode_at_once(run, dataset, tmp_path):
    config = debug(decoding="parallel", validation_share=0.0, learning_rate=1e-2)
    finetune(config, [dataset], tmp_path, seed=1, init=run)
    found = lines_of(tmp_path)
    assert found[-1]["loss"] == pytest.approx(found[-1]["action_l1"], rel=1e-4)
    assert found[-1]["loss"] < found[0]["loss"]
    assert load_checkpoint(tmp_path).config.decoding == "parallel"
    assert load_openvla(tmp_path).predict({"wrist_1": np.zeros((24, 24, 3), np.uint8)}, "insert it").shape == (1, 7)
    with pytest.raises(UsageError, match="--mode full"):
        debug(decoding="parallel", mode="lora")


KILLED = """
import dataclasses, os, signal, sys
from pathlib import Path
from rldg.generalists.openvla import loop, train
from tests.test_openvla_finetune import variant
data, out, init, mode, last = sys.argv[1:]
save = loop.save_state
def save_and_die(folder, learner, place):
    save(folder, learner, place)
    if place.step == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
loop.save_state = save_and_die
config = variant(mode)
train.finetune(config, [Path(data)], Path(out), seed=1, init=init or None)
"""


def same_run(one, other):
    assert checkpoint_steps(one) == checkpoint_steps(other) == [2, 4, 6]
    for step in (2, 4, 6):
        assert load_checkpoint(one, step).weight_hash == load_checkpoint(other, step).weight_hash
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()


def killed(*arguments):
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, check=False, timeout=150)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_a_training_that_is_killed_ends_with_the_weights_of_an_uninterrupted_one(run, dataset, tmp_path):
    killed(dataset, tmp_path, "", "full", 4)
    (tmp_path / "5.tmp").mkdir()  # what a kill while writing leaves behind
    finetune(DEBUG, [dataset], tmp_path, seed=1)
    same_run(tmp_path, run)


@slow
@pytest.mark.parametrize("mode", ["full", "muon", "lora"])
def test_a_training_that_is_killed_twice_does_so_too(mode, run, dataset, tmp_path):
    init, config, whole = run if mode == "lora" else None, variant(mode), tmp_path / "whole"
    finetune(config, [dataset], whole, seed=1, init=init)
    for step in (2, 4):
        killed(dataset, tmp_path / "killed", init or "", mode, step)
    finetune(config, [dataset], tmp_path / "killed", seed=1, init=init)
    same_run(tmp_path / "killed", whole)


@pytest.mark.parametrize("when", ["between", "within"])
def test_an_interruption_loses_no_update(when, run, dataset, tmp_path, monkeypatch):
    calls = []

    def interrupt(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    place = (Progress, "advance") if when == "between" else (Accelerator, "backward")
    was = getattr(*place)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*place, lambda *given: (interrupt(), was(*given)))
        finetune(DEBUG, [dataset], tmp_path, seed=1)
    assert checkpoint_steps(tmp_path) == [2]
    finetune(DEBUG, [dataset], tmp_path, seed=1)
    same_run(tmp_path, run)


TOGETHER = """
import sys
from dataclasses import replace
from pathlib import Path
from accelerate import PartialState
from accelerate.utils import DistributedType
from rldg.generalists.openvla.train import finetune
from tests.test_openvla_finetune import variant
data, out, init, mode, sharded, steps = sys.argv[1:]
if sharded:  # accelerate shards on processes with GPUs only; everything else runs on CPUs as it does there
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
config = replace(variant(mode), steps=int(steps), accumulate=2)
finetune(config, [Path(data)], Path(out), seed=1, init=init or None, merge=mode == "lora")
"""
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer,Block",
}


def together(*arguments, sharded):
    """Two processes that train together; what they said on standard error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", TOGETHER, *map(str, arguments)]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    shared |= SHARDED if sharded else {}
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]
    try:
        said = [process.communicate(timeout=150)[1].decode() for process in processes]
        assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
        return said
    finally:
        for process in processes:
            process.kill()


@slow
@pytest.mark.parametrize("sharded", ["", "fsdp"])
@pytest.mark.parametrize("mode", ["full", "muon", "lora"])
def test_two_processes_train_as_one(mode, sharded, run, dataset, tmp_path):
    init = run if mode == "lora" else None
    config = dataclasses.replace(variant(mode), steps=3, accumulate=2)
    finetune(config, [dataset], tmp_path / "one", seed=1, init=init)
    together(dataset, tmp_path / "two", init or "", mode, sharded, 3, sharded=sharded)
    # Muon multiplies in bfloat16, in other parts when sharded, so that rounding counts for more.
    tolerance, small = (2e-3, 0.1) if mode == "muon" else (2e-5, 2e-6)
    for one, two in zip(lines_of(tmp_path / "one"), lines_of(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=tolerance)
    expected = weights(tmp_path / "one")
    for name, value in weights(tmp_path / "two").items():
        np.testing.assert_allclose(value, expected[name], atol=small)


@slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's own compiler
def test_a_compiled_model_trains_the_same(dataset, tmp_path):
    for name, compiled in (("plain", False), ("compiled", True)):
        finetune(debug(steps=2, validation_share=0.0, compile=compiled), [dataset], tmp_path / name, seed=1)
    plain, compiled = lines_of(tmp_path / "plain"), lines_of(tmp_path / "compiled")
    assert [line["loss"] for line in compiled] == pytest.approx([line["loss"] for line in plain], rel=1e-5)
    assert set(weights(tmp_path / "plain")) == set(weights(tmp_path / "compiled"))


# What is refused


def test_what_contradicts_itself_is_wrong_usage(run, adapted, dataset, tmp_path):
    with pytest.raises(UsageError, match="--init"):
        finetune(debug(mode="lora"), [dataset], tmp_path / "a", seed=1)
    with pytest.raises(UsageError, match="whole already"):
        finetune(DEBUG, [dataset], tmp_path / "a", seed=1, merge=True)
    with pytest.raises(UsageError, match="3 equal parts"):
        debug(accumulate=3)
    with pytest.raises(UsageError, match="merge them"):
        finetune(debug(mode="lora"), [dataset], tmp_path / "a", seed=1, init=adapted)
    with pytest.raises(UsageError, match=r"q_porj.*q_proj"):
        finetune(debug(mode="lora", lora_layers=("q_porj",)), [dataset], tmp_path / "a", seed=1, init=run)


@pytest.mark.skipif(not FOUR_BITS, reason="bitsandbytes is not here")
@pytest.mark.filterwarnings("ignore")  # bitsandbytes' own
def test_adapters_of_a_model_in_four_bits_merge_into_the_whole_one(run, dataset, tmp_path):
    config = debug(mode="qlora", steps=2, learning_rate=1e-2, validation_share=0.0)
    finetune(config, [dataset], tmp_path, seed=1, init=run, merge=True)
    base, merged = weights(run), weights(tmp_path / "merged")
    assert {name: value.shape for name, value in merged.items()} == {name: value.shape for name, value in base.items()}
    assert any(not torch.equal(base[name], merged[name]) for name in base)


def test_four_bits_ask_for_their_package_by_name(run, dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"rldg\[quantised\]"):
        finetune(debug(mode="qlora"), [dataset], tmp_path, seed=1, init=run)


def test_a_damaged_state_is_named(run, dataset, tmp_path):
    def stop(step, folder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(DEBUG, [dataset], tmp_path, seed=1, on_checkpoint=stop)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"state\.safetensors.*--overwrite"):
        finetune(DEBUG, [dataset], tmp_path, seed=1)


# Recipes


def test_the_rldg_recipe_is_the_papers():
    found = recipe("rldg")
    config = found.config
    assert found.init == "hf://openvla/openvla-7b"
    assert image_transform(model_config("openvla-7b"), config) == RLDG_OPENVLA
    assert (config.mode, config.lora_rank, config.lora_alpha, config.lora_dropout) == ("lora", 32, 16, 0)
    assert (config.batch_size, config.accumulate, config.camera) == (6, 3, "wrist_1")
    assert {learning_rate(config, step) for step in (0, 1, 8_333, 16_665)} == {2e-5}
    assert (config.beta1, config.beta2, config.epsilon, config.weight_decay) == (0.9, 0.999, 1e-8, 0.01)
    assert 3 * config.checkpoint_every == 24_999  # the released step-25000, counted in micro-batches


def test_a_recipe_is_named_on_the_command_line_and_can_be_changed():
    import tyro

    arguments = ["--data", "a", "--out", "b", "--recipe", "rldg", "--config.batch-size", "9"]
    args = tyro.cli(verb.Args, args=arguments, default=verb.defaults(arguments))
    assert args.config == dataclasses.replace(RECIPES["rldg"].config, batch_size=9)
    assert args.init == "hf://openvla/openvla-7b"
    assert verb.defaults([]).config == FinetuneConfig()
    with pytest.raises(UnknownNameError, match="Did you mean 'rldg'"):
        verb.defaults(["--recipe=rdlg"])


def test_help_needs_no_pytorch():
    code = "import sys; from rldg.cli.main import dispatch\ntry: dispatch(['finetune', 'openvla', '--help'])\n"
    code += "finally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--merge" in done.stdout
