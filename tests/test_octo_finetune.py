"""What fine-tuning Octo promises: it learns, what it leaves acts, frozen is frozen, and no kill changes it."""

import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import serialization, traverse_util

from rldg.cli.finetune import octo as verb
from rldg.data.writer import DatasetWriter
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, DatasetError, StageError, TrainingError, UnknownNameError, UsageError
from rldg.generalists.octo import config as configs
from rldg.generalists.octo.batches import open_data, open_loader, tokenised
from rldg.generalists.octo.changes import Changes
from rldg.generalists.octo.checkpoint import checkpoint_steps, load_checkpoint
from rldg.generalists.octo.estimate import expected_memory
from rldg.generalists.octo.freezing import split_weights
from rldg.generalists.octo.heads import sample_draws
from rldg.generalists.octo.learner import Learner
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.optimizer import learning_rate, make_optimizer
from rldg.generalists.octo.policy import load_octo
from rldg.generalists.octo.recipes import RECIPES, FinetuneConfig, recipe
from rldg.generalists.octo.runtime import prepare_jax
from rldg.generalists.octo.sharding import make_mesh
from rldg.generalists.octo.sizes import model_config
from rldg.generalists.octo.tokenizer import text_tokenizer
from rldg.generalists.octo.train import finetune
from rldg.generalists.progress import Progress
from tests import octo_golden as golden
from tests.synthetic_episodes import make_episode, write_recorded

ROOT = Path(__file__).parents[1]
DEBUG = FinetuneConfig(
    model="octo-debug",
    optimizer="adamw",
    steps=6,
    batch_size=8,
    checkpoint_every=2,
    log_every=1,
    warmup_steps=1,
    validation_share=0.2,
    lora_rank=2,
    epsilon=1e-3,  # so that Adam does not blow rounding errors in gradients of zero up
)
MODES = ("full", "head_only", "frozen_transformer", "lora")
slow = pytest.mark.slow
T5 = configs.LanguageConfig("t5", 16, 64, 6, configs.T5Config(64, 16, 16, 1, 2, 8))


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_kept():
    prepare_jax()


def debug(**changes):
    return dataclasses.replace(DEBUG, **changes)


def flat(tree):
    return {path: np.asarray(leaf) for path, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


def tokenizer(model):
    return text_tokenizer(model.language)


def random_batch(model, size=8, seed=0):
    """A batch as the loader's, with uneven padding."""
    rng, window, head = np.random.default_rng(seed), model.window, model.head
    shape = (size, window, head.action_horizon, head.action_dim)
    ids = rng.integers(1, 60, (size, model.language.max_length)).astype(np.int32)
    images = {
        f"image_{i.name}": rng.integers(0, 255, (size, window, i.size, i.size, 3)).astype(np.uint8)
        for i in model.images
    }
    return {
        "observation": {**images, "timestep_pad_mask": rng.random((size, window)) < 0.8},
        "task": {"language_instruction": {"input_ids": ids, "attention_mask": np.ones_like(ids)}},
        "action": rng.normal(size=shape).astype(np.float32),
        "action_pad_mask": rng.random(shape) < 0.7,
    }


def trained(config, model=None, updates=3, **inputs):
    """The state after some updates on one batch, and the parameters before."""
    model = model or model_config(config.model)
    batch, learner = random_batch(model, config.batch_size, **inputs), Learner(model, config, seed=0)
    params = learner.random_params(batch)
    before, state = flat(params), learner.start(params)
    for _ in range(updates):
        state = learner.update(state, batch)
    return learner, state, before


# What is trained


@pytest.mark.parametrize("mode", [*(pytest.param(mode, marks=slow) for mode in MODES[:-1]), "lora"])
def test_frozen_weights_keep_every_bit_and_the_others_move(mode):
    model = dataclasses.replace(model_config("octo-debug"), language=T5)
    learner, state, before = trained(debug(mode=mode, schedule="constant", freeze=("*readout*",)), model, updates=4)
    after = flat(learner.params(state))
    assert set(after) == set(before)
    moved = {path for path in before if (before[path] != after[path]).any()}
    frozen = {path for path in before if "hf_model" in path or "readout" in path}
    blocks = {path for path in before if "encoderblock" in path or "encoder_norm" in path}
    kernels = {path for path in blocks if path.endswith("/kernel")}
    frozen |= {
        "full": set(),
        "head_only": {path for path in before if not path.startswith("heads_action/")},
        "frozen_transformer": blocks,
        "lora": blocks - kernels,
    }[mode]
    assert blocks
    assert not moved & frozen
    still = {path for path in before if path not in frozen} - moved
    assert all("bias" in path for path in still), still  # keys' biases, and those before a norm, have no gradient


@slow
def test_adapters_are_in_the_state_and_their_sum_in_the_checkpoint(dataset, run, tmp_path):
    finetune(debug(mode="lora", steps=4, ema_decay=0.0), [dataset], tmp_path, seed=2, init=run)
    before, after = flat(load_checkpoint(run).params), flat(load_checkpoint(tmp_path).params)
    assert set(before) == set(after)
    difference = after_minus_before = {path: after[path] - before[path] for path in before}
    changed = [path for path in difference if "encoderblock" in path and np.any(after_minus_before[path])]
    assert len(changed) == 12  # two blocks of six layers
    for path in changed:
        rows = 16 if not path.endswith("out/kernel") else difference[path].shape[0] * difference[path].shape[1]
        rows = difference[path].shape[0] if "Dense" in path else rows
        assert np.linalg.matrix_rank(difference[path].reshape(rows, -1), tol=1e-6) <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze": ("*encoderblok*",)}, "encoderblok.*heads_action/diffusion_model"),
        ({"mode": "head_only", "freeze": ("heads_action/*",)}, "no weight to train"),
        ({"mode": "lora", "lora_layers": ("query", "qkv")}, "no layer qkv; they have"),
    ],
)
def test_what_cannot_be_frozen_or_adapted_is_named(changes, message):
    with pytest.raises(UsageError, match=message):
        trained(debug(**changes))


# How it is trained


@slow
def test_parts_of_a_batch_make_the_update_of_the_whole():
    states = [trained(debug(accumulate=parts))[1] for parts in (1, 4)]
    np.testing.assert_allclose(states[0].metrics["loss"], states[1].metrics["loss"], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), states[0].weights, states[1].weights)


@slow
def test_blocks_computed_twice_change_no_weight():
    states = [trained(debug(checkpoint_blocks=again))[1] for again in (False, True)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), states[0].weights, states[1].weights)


@slow
def test_bfloat16_is_in_the_transformer_and_nowhere_else():
    model = model_config("octo-debug")
    learners = [Learner(model, debug(compute=dtype), seed=0) for dtype in ("float32", "bfloat16")]
    batch = random_batch(model)
    state = learners[0].start(learners[0].random_params(batch))
    full, half = (learner.evaluate(state, batch) for learner in learners)
    assert full.dtype == half.dtype == np.float32
    assert full != half
    np.testing.assert_allclose(full, half, rtol=0.03)
    program = str(jax.make_jaxpr(learners[1].update)(state, batch))
    dots = [line for line in program.splitlines() if "dot_general" in line]
    assert sum("bf16[" in line for line in dots) > len(dots) / 3
    after = learners[1].update(state, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(after.weights)} == {np.dtype("float32")}


@slow
def test_the_average_can_be_left_out():
    learner, state, _ = trained(debug(ema_decay=0.0))
    assert state.average is None
    jax.tree.map(np.testing.assert_array_equal, flat(learner.params(state)), dict(state.weights))


def test_the_memory_is_known_before_anything_is_there():
    model, config = model_config("octo-debug"), debug(mode="head_only", moment="bfloat16")
    learner, batch = Learner(model, config, seed=0), random_batch(model)
    shapes = learner.shapes(batch)
    found = expected_memory(shapes, learner.update.lower(shapes, batch).compile())
    params = flat(learner.random_params(batch))
    head = sum(leaf.nbytes for path, leaf in params.items() if path.startswith("heads_action/"))
    assert found.weights == sum(leaf.nbytes for leaf in params.values())
    assert found.average == found.gradients == head
    assert head * 1.5 <= found.optimizer < head * 1.5 + 64  # moments of 2 and 4 bytes, and counters
    assert found.activations > 0
    assert "MiB" in str(found)


@slow
def test_learns_to_tell_pictures_apart():
    model, config = model_config("octo-debug"), debug(steps=300, optimizer="muon")
    images = np.zeros((2, 1, 16, 16, 3), np.uint8)
    images[0, :, :, :8], images[1, :, 8:] = 255, 255
    actions = np.array([[1, -1, 0.5, 0, 0, 1, 0], [-1, 1, 0.5, 0, 0, -1, 0]], np.float32)
    tokens = tokenizer(model)(["insert", "insert"])
    batch = {
        "observation": {"image_primary": images, "timestep_pad_mask": np.ones((2, 1), bool)},
        "task": {"language_instruction": tokens},
        "action": actions[:, None, None],
        "action_pad_mask": np.ones((2, 1, 1, 7), bool),
    }
    batch = jax.tree.map(lambda leaf: leaf[np.arange(8) % 2], batch)
    learner = Learner(model, config, seed=0)
    state = learner.start(learner.random_params(batch))
    for _ in range(300):
        state = learner.update(state, batch)
    draws = sample_draws(model.head, (8, 1), None)
    inputs = batch["observation"], batch["task"], draws
    answer: Any = learner.module.apply({"params": learner.params(state)}, *inputs, method="sample")
    np.testing.assert_allclose(answer[:2, 0], actions, atol=0.2)


OPTIMISERS = {
    "diffusion_pretrain_optimizer": FinetuneConfig(
        learning_rate=3e-4, schedule="rsqrt", weight_decay=0.1, moment="bfloat16", warmup_steps=3, optimizer="adamw"
    ),
    "l1_example02_adamw": FinetuneConfig(
        schedule="constant", weight_decay=1e-4, decay_all=True, clip_gradient=0.0, warmup_steps=3, optimizer="adamw"
    ),
}
OPTIMISERS["l1_example02_adamw_frozen_transformer"] = dataclasses.replace(
    OPTIMISERS["l1_example02_adamw"], mode="frozen_transformer"
)


@golden.needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "l1_example02_adamw_frozen_transformer",
        *(pytest.param(name, marks=slow) for name in ("l1_example02_adamw", "diffusion_pretrain_optimizer")),
    ],
)
def test_six_updates_are_the_originals(name):
    model = "diffusion" if name.startswith("diffusion") else "l1_proprio"
    wanted, config = golden.arrays("training", f"{name}.npz"), OPTIMISERS[name]
    case = golden.arrays(model, "12_train_batch" if model == "diffusion" else "06_train_batch", "inputs.npz")
    inputs, module = golden.inputs(case), OctoModule(golden.MODELS[model][0])
    before: Any = traverse_util.flatten_dict(golden.weights(model), sep="/")
    weights, frozen = split_weights(before, config)
    optimizer, rate = make_optimizer(config), learning_rate(config)
    state = optimizer.init(weights)

    @jax.jit
    def update(weights, state, draws):
        def loss(flat):
            params = {"params": traverse_util.unflatten_dict(flat, sep="/")}
            found: Any = module.apply(params, *inputs, draws, False, method="loss")
            return found["loss"]

        value, gradient = jax.value_and_grad(loss)(weights | frozen)
        changes, state = optimizer.update({path: gradient[path] for path in weights}, state, weights)
        norms = {
            "loss": value,
            "grad_norm": optax.tree.norm(gradient),  # the original's is over frozen weights too
            "param_norm": optax.tree.norm(weights | frozen),
            "update_norm": optax.tree.norm(changes),
        }
        return optax.apply_updates(weights, changes), state, norms, jax.tree.map(optax.tree.norm, gradient)

    close, largest = np.testing.assert_allclose, dict.fromkeys(before, 0.0)
    for step in range(6):
        draws = {key: wanted[f"step{step}/{key}"] for key in ("time", "noise") if f"step{step}/{key}" in wanted}
        weights, state, norms, sizes = update(weights, state, draws)
        for curve, value in norms.items():
            close(value, wanted[f"curve/{curve}"][step], rtol=2e-3, err_msg=f"{curve} {step}")
        close(rate(step), wanted["curve/learning_rate"][step], rtol=1e-6)
        largest = {path: max(size, float(sizes[path])) for path, size in largest.items()}
    for path, old in before.items():
        new = np.asarray((weights | frozen)[path], np.float64)
        if largest[path] > 1e-3 or path in frozen:  # elsewhere Adam follows the sign of rounding errors
            close(np.linalg.norm(new - old), wanted[f"delta_norm/{path}"], rtol=2e-2, atol=1e-9, err_msg=path)
            if f"final/{path}" in wanted:
                close(new, wanted[f"final/{path}"], atol=2e-4, err_msg=path)


# On several devices

ON_FOUR_DEVICES = """
import jax, numpy as np
from rldg.generalists.octo.learner import Learner
from rldg.generalists.octo.sharding import make_mesh, to_devices, to_host
from rldg.generalists.octo.sizes import model_config
from tests.test_octo_finetune import debug, random_batch
model, params = model_config("octo-debug"), None
grids = {"one": make_mesh(1, jax.devices()[:1]), "data": make_mesh(1), "fsdp": make_mesh(4), "both": make_mesh(2)}
found = {}
for name, mesh in grids.items():
    learner = Learner(model, debug(accumulate=2), 0, mesh)
    batch = to_devices(mesh, random_batch(model))
    params = params or learner.random_params(batch)
    state = learner.start(params)
    for _ in range(3):
        state = learner.update(state, batch)
    cut = [leaf for leaf in jax.tree.leaves((state.weights, state.optimizer)) if not leaf.is_fully_replicated]
    assert bool(cut) == (mesh.shape["fsdp"] > 1), name
    assert len(state.step.devices()) == mesh.size
    found[name] = to_host({"loss": state.metrics["loss"], "average": state.average, "params": learner.params(state)})
for name in ("data", "fsdp", "both"):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-5), found["one"], found[name])
print("equal")
"""


@slow
@pytest.mark.timeout(600)
def test_four_devices_make_the_updates_of_one():
    environment = dict(os.environ) | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-c", ON_FOUR_DEVICES]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=590)
    assert done.stdout.endswith("equal\n"), done.stderr


@slow
@pytest.mark.timeout(400)
def test_two_hosts_train_together(dataset, tmp_path):
    options = "--model octo-debug --steps 4 --batch-size 8 --checkpoint-every 2 --fsdp 2 --validation-share 0.2"
    command = [sys.executable, "-m", "rldg", "finetune", "octo", "--distributed", *options.split()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    hosts = []
    for number in range(2):
        environment = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(number)}
        arguments = [*command, "--data", str(dataset), "--out", str(tmp_path / "run")]
        hosts.append(subprocess.Popen(arguments, cwd=ROOT, env=dict(os.environ) | environment, stderr=subprocess.PIPE))
    said = [host.communicate(timeout=390)[1].decode() for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    assert "expected memory" in said[0]
    assert "expected memory" not in said[1]
    assert checkpoint_steps(tmp_path / "run") == [2, 4]
    assert np.isfinite(
        load_octo(tmp_path / "run").predict({"wrist_1": np.zeros((24, 24, 3), np.uint8)}, "insert")
    ).all()


def test_devices_that_do_not_divide_are_named():
    with pytest.raises(UsageError, match="fsdp must divide the number of devices"):
        make_mesh(3, jax.devices()[:1])
    with pytest.raises(UsageError, match="into 3 equal parts"):
        debug(accumulate=3)


# A whole run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_recorded(tmp_path_factory.mktemp("data") / "synthetic")


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    finetune(DEBUG, [dataset], out, seed=1)
    return out


def test_finetuning_leaves_a_policy_metrics_and_the_kept_checkpoints(run, dataset):
    assert checkpoint_steps(run) == [2, 4, 6]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "validation_loss" in lines[-1]
    assert [line["learning_rate"] for line in lines[:2]] == [0, pytest.approx(DEBUG.learning_rate)]
    assert list((run / "tensorboard").iterdir())
    policy = load_octo(run)
    assert policy.metadata.kind == "octo"
    assert policy.metadata.statistics_key == "synthetic"
    assert policy.metadata.action_contract == ActionContract(0.015, 0.1, 10.0, "fixed")
    assert policy.metadata.image_sizes == {"wrist_1": 24}
    assert policy.metadata.checkpoint_step == 6
    assert load_octo(run, 2).metadata.weight_hash != policy.metadata.weight_hash
    assert finetune(DEBUG, [dataset], run, seed=1)["updates"] == 6  # reused
    with pytest.raises(StageError):
        finetune(debug(steps=7), [dataset], run, seed=1)


def test_the_policy_repeats_itself_unless_asked_for_samples(run):
    images = {"wrist_1": np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)}
    policy = load_octo(run)
    greedy = policy.predict(images, "insert the plug")
    assert greedy.shape == (1, 7)
    np.testing.assert_array_equal(greedy, load_octo(run).predict(images, "insert the plug"))
    first, again, other = (policy.predict(images, "insert the plug", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6
    normalised = policy.act({"state": {}, "images": images})
    assert normalised.shape == (1, 7)
    assert np.abs(normalised).max() <= 1


@slow
def test_what_is_said_before_and_while_it_runs(dataset, tmp_path, capsys):
    finetune(debug(steps=14, mode="frozen_transformer"), [dataset], tmp_path, seed=1)
    said = capsys.readouterr().err
    assert "octo_transformer/BlockTransformer_0" in said
    assert "expected memory per device" in said
    assert "s per update" in said
    assert "samples/s" in said


@slow
def test_windows_and_chunks_are_trained_on_with_padding_at_the_ends(dataset, tmp_path):
    config = debug(steps=2, changes=Changes(window=2, action_horizon=3))
    model = config.changes.surgery.apply(model_config("octo-debug"))
    data = open_data([dataset], model, validation_share=0.0, seed=0)
    batch = tokenised(open_loader(data.training, model, config, 0, augment=True).batch(0), tokenizer(model))
    assert batch["action"].shape == (8, 2, 3, 7)
    assert not batch["action_pad_mask"].all()
    assert not batch["observation"]["timestep_pad_mask"].all()
    finetune(config, [dataset], tmp_path, seed=1)
    assert load_checkpoint(tmp_path).model == model


KILLED = """
import os, signal, sys
from pathlib import Path
from rldg.generalists.octo import loop, train
from tests.test_octo_finetune import DEBUG
save = loop.save_state
def save_and_die(folder, state):
    save(folder, state)
    if int(state.step) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
loop.save_state = save_and_die
train.finetune(DEBUG, [Path(sys.argv[1])], Path(sys.argv[2]), seed=1)
"""


def same_run(one, other):
    assert checkpoint_steps(one) == checkpoint_steps(other) == [2, 4, 6]
    for step in (2, 4, 6):
        assert load_checkpoint(one, step).weight_hash == load_checkpoint(other, step).weight_hash
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()


def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(run, dataset, tmp_path):
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(dataset), str(out)]
    killed = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, check=False, timeout=150)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (out / "5.tmp").mkdir()  # what a kill while writing leaves behind
    finetune(DEBUG, [dataset], out, seed=1)
    same_run(out, run)


def test_an_interruption_loses_no_update(run, dataset, tmp_path, monkeypatch):
    updates = []

    def advance(progress):
        updates.append(progress)
        if len(updates) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Progress, "advance", advance)
        finetune(DEBUG, [dataset], tmp_path, seed=1)
    assert checkpoint_steps(tmp_path) == [2]
    assert serialization.msgpack_restore((tmp_path / "state.msgpack").read_bytes())["step"] == 3
    finetune(DEBUG, [dataset], tmp_path, seed=1)
    same_run(tmp_path, run)


@slow
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mode": "head_only"}, OSError),
        ({"mode": "frozen_transformer"}, KeyboardInterrupt),
        ({"mode": "lora"}, OSError),
        ({"optimizer": "muon", "accumulate": 2, "ema_decay": 0.0}, KeyboardInterrupt),
        ({"moment": "bfloat16", "compute": "bfloat16", "checkpoint_blocks": True}, OSError),
    ],
    ids=str,
)
def test_every_way_to_train_goes_on_where_it_was_stopped(changes, error, dataset, tmp_path):
    config, stopped, whole = debug(**changes), tmp_path / "stopped", tmp_path / "whole"

    def stop(step, folder):
        if step == 4:
            raise error
        return {}

    with pytest.raises(error):
        finetune(config, [dataset], stopped, seed=1, on_checkpoint=stop)
    finetune(config, [dataset], stopped, seed=1)
    finetune(config, [dataset], whole, seed=1)
    same_run(stopped, whole)


@slow
def test_a_checkpoint_is_tried_when_asked_and_the_outcome_logged(dataset, tmp_path):
    tried = []

    def try_out(step, folder):
        tried.append((step, load_octo(folder, step).metadata.checkpoint_step))
        return {"success": step / 10}

    finetune(DEBUG, [dataset], tmp_path, seed=1, on_checkpoint=try_out)
    assert tried == [(2, 2), (4, 4), (6, 6)]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {line["step"]: line["success"] for line in lines if "success" in line} == {2: 0.2, 4: 0.4, 6: 0.6}


@slow
def test_a_training_can_start_from_a_checkpoint(run, dataset, tmp_path):
    config = debug(steps=1, learning_rate=1e-9, schedule="constant")
    finetune(config, [dataset], tmp_path, seed=2, init=run)
    before, after = load_checkpoint(run).params, load_checkpoint(tmp_path).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), before, after)


@slow
def test_a_new_head_starts_at_random_on_a_trained_transformer(run, dataset, tmp_path, capsys):
    config = debug(steps=1, learning_rate=1e-9, changes=Changes(head="l1", action_horizon=2))
    finetune(config, [dataset], tmp_path, seed=2, init=run)
    before, after = flat(load_checkpoint(run).params), flat(load_checkpoint(tmp_path).params)
    shared = [path for path in before if not path.startswith("heads_action/")]
    for path in shared:
        np.testing.assert_allclose(before[path], after[path], atol=1e-6)
    assert load_checkpoint(tmp_path).model.head.kind == "continuous"
    assert "heads_action" in capsys.readouterr().err


def test_what_cannot_be_loaded_or_trained_on_is_named(run, dataset, tmp_path):
    with pytest.raises(CheckpointError, match=r"step 3.*\[2, 4, 6\]"):
        load_octo(run, 3)
    with pytest.raises(CheckpointError, match="other"):
        load_octo(run, statistics_key="other")
    folder = DatasetWriter(tmp_path / "side").folder
    DatasetWriter(folder).write(0, make_episode(0, cameras=("side_1",)))
    with pytest.raises(DatasetError, match=r"wrist_1.*side_1"):
        finetune(DEBUG, [folder], tmp_path / "out", seed=0)


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is here")
def test_a_loss_that_is_no_number_ends_the_training_before_it_is_saved(dataset, tmp_path):
    with pytest.raises(TrainingError, match=r"loss in .* is nan at update .*--learning-rate"):
        finetune(debug(learning_rate=1e30, clip_gradient=0.0, warmup_steps=0), [dataset], tmp_path, seed=1)
    for step in checkpoint_steps(tmp_path):
        load_checkpoint(tmp_path, step)  # which refuses weights that are not finite


def test_wandb_is_asked_for_by_name_where_it_is_missing(dataset, tmp_path):
    with pytest.raises(UsageError, match="pip install wandb"):
        finetune(DEBUG, [dataset], tmp_path, seed=1, wandb="project")


# Recipes


def test_the_rldg_recipe_is_the_papers():
    found = recipe("rldg")
    config = found.config
    assert found.init == "hf://rail-berkeley/octo-base-1.5"
    model = config.changes.surgery.apply(model_config("octo-base-1.5"))
    assert [(i.name, i.camera, i.size) for i in model.images] == [("primary", "wrist_1", 224)]
    assert (model.window, model.head) == (1, configs.DiffusionConfig(action_horizon=1))
    assert (config.batch_size, config.steps, config.checkpoint_every, config.mode) == (64, 50_000, 10_000, "full")


def test_a_recipe_is_named_on_the_command_line_and_can_be_changed():
    import tyro

    arguments = ["--data", "a", "--out", "b", "--recipe", "rldg", "--config.batch-size", "8"]
    args = tyro.cli(verb.Args, args=arguments, default=verb.defaults(arguments))
    assert args.config == dataclasses.replace(RECIPES["rldg"].config, batch_size=8)
    assert args.init == "hf://rail-berkeley/octo-base-1.5"
    assert verb.defaults([]).config == FinetuneConfig()
    with pytest.raises(UnknownNameError, match="Did you mean 'rldg'"):
        verb.defaults(["--recipe=rdlg"])
