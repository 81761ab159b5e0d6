"""What Octo promises: the original's numbers, its attention rules, and a training that no kill changes."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization, traverse_util
from hypothesis import given
from hypothesis import strategies as st

from rldg.data.writer import DatasetWriter
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, DatasetError, StageError, UnknownNameError
from rldg.generalists.octo import config as configs
from rldg.generalists.octo.checkpoint import checkpoint_steps, load_checkpoint
from rldg.generalists.octo.config import ModelConfig, model_from_json, to_json
from rldg.generalists.octo.diffusion import DiffusionActionHead, cosine_betas
from rldg.generalists.octo.language import WordTokenizer
from rldg.generalists.octo.learner import Frames, Learner, batch_rows, on_device
from rldg.generalists.octo.model import OctoModule, OctoTransformer
from rldg.generalists.octo.policy import load_octo
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.sizes import MODELS, model_config
from rldg.generalists.octo.stem import ImageTokenizer
from rldg.generalists.octo.train import finetune
from rldg.generalists.octo.transformer import BlockTransformer, TokenGroup
from tests.synthetic_episodes import make_episode

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "octo"
SHARED = ROOT.parent / "shared" / "golden" / "octo"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the whole of the golden files is not here")

# The architecture of the golden checkpoint.
ORIGINAL = ModelConfig(
    images=(
        configs.ImageConfig("primary", "side_1", 64, configs.StemConfig(num_features=128)),
        configs.ImageConfig("wrist", "wrist_1", 48, configs.StemConfig(features=(32, 64, 96, 128), num_features=64)),
    ),
    language=configs.LanguageConfig("t5-tiny", width=32, vocabulary_size=132, t5=None),
    transformer=configs.TransformerConfig(num_layers=2, mlp_dim=128, num_attention_heads=4),
    head=configs.DiffusionConfig(hidden_dim=128),
    width=64,
)
DEBUG = FinetuneConfig(
    model="octo-debug",
    optimizer="adamw",
    steps=6,
    batch_size=8,
    checkpoint_every=2,
    log_every=1,
    warmup_steps=1,
    validation_share=0.2,
)


def close(value, golden):
    np.testing.assert_allclose(value, golden, rtol=1e-5, atol=2e-5)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "case.npz") as case, np.load(GOLDEN / "params.npz") as params:
        return dict(case), traverse_util.unflatten_dict(dict(params), sep="/")


def test_the_stem_gives_the_originals_tokens(golden):
    case, params = golden
    tokenizer = ImageTokenizer(ORIGINAL.images[1])
    weights = params["octo_transformer"]["observation_tokenizers_wrist"]
    tokens = tokenizer.apply({"params": weights}, case["observation/image_wrist"], case["task/image_wrist"])
    np.testing.assert_allclose(tokens, case["tokenizer/observation_tokenizers_wrist/tokens"], atol=5e-5)


@pytest.mark.parametrize("wanted", [None, "readout_action"])
def test_the_transformer_gives_the_originals_outputs(golden, wanted):
    case, params = golden
    steps = case["input_tokens"][:, 16:].reshape(2, 2, 42, 64)
    sizes = {"obs_primary": 16, "obs_wrist": 9, "obs_task_language": 16, "readout_action": 1}
    groups = [TokenGroup("task_language", jnp.asarray(case["input_tokens"][:, :16]), jnp.ones((2, 16), bool))]
    for (name, size), end in zip(sizes.items(), np.cumsum(list(sizes.values())), strict=True):
        tokens = jnp.asarray(steps[:, :, end - size : end])
        in_time = case["observation/timestep_pad_mask"][..., None]
        seen = in_time if name in ("obs_primary", "obs_wrist") else np.ones((2, 2, 1), bool)
        groups.append(TokenGroup(name, tokens, jnp.broadcast_to(seen, tokens.shape[:-1])))
    weights = {"params": params["octo_transformer"]["BlockTransformer_0"]}
    outputs = BlockTransformer(ORIGINAL.transformer).apply(weights, groups, False, wanted)
    assert set(outputs) == ({wanted} if wanted else {group.name for group in groups})
    for name, tokens in outputs.items():
        close(tokens, case[f"out/{name}/tokens"])


def test_the_head_gives_the_originals_noise_loss_and_samples(golden):
    case, params = golden
    head, weights = DiffusionActionHead(ORIGINAL.head), {"params": params["heads_action"]}
    readout = case["out/readout_action/tokens"]
    close(head.apply(weights, readout, case["eps0/noisy_actions"], case["eps0/time"]), case["eps0/eps"])
    mask = case["action_pad_mask"] & case["observation/timestep_pad_mask"][:, :, None, None]
    loss = head.apply(weights, readout, case["action"], mask, case["loss/time"], case["loss/noise"], method="loss")
    np.testing.assert_allclose(loss, case["loss/loss"], rtol=1e-4)
    actions = head.apply(weights, readout, case["sample/noise_init"], case["sample/noise_steps"], method="denoise")
    np.testing.assert_allclose(actions[:, -1], case["sample/actions"], atol=1e-3)
    close(cosine_betas(20), case["schedule/betas"])


def nested(arrays, prefix):
    flat = {key.removeprefix(prefix): jnp.asarray(arrays[key]) for key in arrays if key.startswith(prefix)}
    return traverse_util.unflatten_dict(flat, sep="/")


@needs_shared
@pytest.mark.parametrize("case", ["02_w2_lang_padded", "04_w2_lang_nowrist", "08_w2_goal_and_lang", "09_w1_minimal"])
def test_a_whole_original_checkpoint_runs(case):
    weights = (SHARED / "checkpoints/diffusion/1000/default/checkpoint").read_bytes()
    with (
        np.load(SHARED / "diffusion" / case / "inputs.npz") as inputs,
        np.load(SHARED / "diffusion" / case / "outputs.npz") as outputs,
    ):
        inputs, outputs = dict(inputs), dict(outputs)
    observation, task = nested(inputs, "observation/"), nested(inputs, "task/")
    task["language_instruction"] = outputs["tokenizer/task_tokenizers_language/tokens"]
    actions = OctoModule(ORIGINAL).apply(
        {"params": serialization.msgpack_restore(weights)},
        observation,
        task,
        outputs["sample/noise_init"],
        outputs["sample/noise_steps"],
        method="sample",
    )
    np.testing.assert_allclose(actions[:, -1], outputs["sample/actions"], atol=1e-3)


@needs_shared
@pytest.mark.parametrize("name", ["octo-small-1.5", "octo-base-1.5"])
def test_published_sizes_have_the_published_parameter_tree(name):
    tree = json.loads((SHARED / "real_size" / f"param_tree_{name}.json").read_text())["params"]
    module = OctoModule(model_config(name))
    observation = {"image_primary": jnp.zeros((1, 2, 256, 256, 3)), "image_wrist": jnp.zeros((1, 2, 128, 128, 3))}
    actions, noise = jnp.zeros((1, 2, 4, 7)), jnp.zeros((1, 1, 2, 28))
    inputs = observation, {"language_instruction": jnp.zeros((1, 16, 768))}, actions, actions == 0
    time = jnp.zeros((1, 1, 2, 1), int)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, time, noise, method="loss"))["params"]
    ours = {path: list(leaf.shape) for path, leaf in traverse_util.flatten_dict(shapes, sep="/").items()}
    assert ours == {path: shape for path, (shape, _) in tree.items() if "hf_model" not in path}


def test_time_runs_one_way_and_readouts_are_seen_by_nobody():
    config = dataclasses.replace(model_config("octo-debug"), window=2, max_horizon=2, repeat_task_tokens=True)
    module = OctoTransformer(config)
    images = np.random.default_rng(0).integers(0, 255, (1, 2, 16, 16, 3)).astype(np.uint8)
    task = {"language_instruction": {"input_ids": jnp.arange(6)[None]}}
    variables = module.init(jax.random.key(0), {"image_primary": images}, task)
    before = module.apply(variables, {"image_primary": images}, task)

    changed = images.copy()
    changed[:, 1] = 0
    after = module.apply(variables, {"image_primary": changed}, task)
    for name in ("obs_primary", "readout_action"):
        np.testing.assert_array_equal(before[name][:, 0], after[name][:, 0])
        assert np.abs(before[name][:, 1] - after[name][:, 1]).max() > 1e-3
    np.testing.assert_array_equal(before["task_language"], after["task_language"])

    params = dict(variables["params"])
    params["readout_action_pos_embedding"] = params["readout_action_pos_embedding"] + 1.0
    after = module.apply({"params": params}, {"image_primary": images}, task)
    for name in ("task_language", "obs_primary", "obs_task_language"):
        np.testing.assert_array_equal(before[name], after[name])


@given(st.text(max_size=80))
def test_any_text_has_token_ids(text):
    config = configs.LanguageConfig("words", vocabulary_size=64, max_length=6)
    tokens = WordTokenizer(config)([text, text])
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape == (2, 6)
    assert tokens["input_ids"].min() >= 0
    assert tokens["input_ids"].max() < 64
    np.testing.assert_array_equal(tokens["input_ids"][0], tokens["input_ids"][1])


def test_related_names_share_tokens_whatever_their_case():
    tokenizer = WordTokenizer(model_config("octo-tiny").language)
    a, b = tokenizer(["insert the USB-A connector", "Insert the usb-c connector"])["input_ids"]
    assert (a != b).sum() == 1
    assert tokenizer.config.max_length == len(a)


@pytest.mark.parametrize("name", MODELS)
def test_configurations_survive_json(name):
    assert model_from_json(json.loads(json.dumps(to_json(model_config(name))))) == model_config(name)


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="octo-tiny"):
        model_config("octo-tinny")


def test_every_epoch_sees_every_frame_once():
    rows = np.concatenate([batch_rows(3, step, 4, 10) for step in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert list(rows[:10]) != list(rows[10:])


def test_learns_to_tell_pictures_apart():
    model = model_config("octo-debug")
    images = np.zeros((2, 16, 16, 3), np.uint8)
    images[0, :, :8], images[1, :, 8:] = 255, 255
    actions = np.array([[1, -1, 0.5, 0, 0, 1, 0], [-1, 1, 0.5, 0, 0, -1, 0]], np.float32)
    frames = Frames({"primary": images}, actions, ("insert",), np.zeros(2, np.int32))
    tokens = WordTokenizer(model.language)(frames.instructions)
    learner = Learner(model, dataclasses.replace(DEBUG, steps=300, optimizer="muon"), tokens, seed=0)
    state, data = learner.init(), on_device(frames)
    for _ in range(300):
        state, _ = learner.update(state, data, np.arange(8, dtype=np.int32) % 2)
    observation = {"image_primary": images[:, None]}
    task = {"language_instruction": {name: ids.repeat(2, axis=0) for name, ids in tokens.items()}}
    still = jnp.zeros((20, 2, 1, 7))
    answer = learner.module.apply({"params": state.average}, observation, task, still[0], still, method="sample")
    np.testing.assert_allclose(answer[:, 0, 0], actions, atol=0.2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four synthetic successes and two failures, with the contract that a recording carries."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    writer = DatasetWriter(folder)
    contract = json.dumps(dataclasses.asdict(ActionContract(0.015, 0.1, 10.0, "fixed")))
    for index in range(6):
        episode = make_episode(index, cameras=("wrist_1",))
        metadata = dataclasses.replace(episode.metadata, action_contract=contract)
        writer.write(index, dataclasses.replace(episode, metadata=metadata))
    return folder


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
    policy = load_octo(run)
    assert policy.metadata.kind == "octo"
    assert policy.metadata.statistics_key == "synthetic"
    assert policy.metadata.action_contract == ActionContract(0.015, 0.1, 10.0, "fixed")
    assert policy.metadata.image_sizes == {"wrist_1": 24}
    assert policy.metadata.checkpoint_step == 6
    assert load_octo(run, 2).metadata.weight_hash != policy.metadata.weight_hash
    assert finetune(DEBUG, [dataset], run, seed=1)["updates"] == 6  # reused
    with pytest.raises(StageError):
        finetune(dataclasses.replace(DEBUG, steps=7), [dataset], run, seed=1)


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


FINETUNE_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from rldg.generalists.octo import train
from tests.test_octo import DEBUG
save = train.save_state
def save_and_die(folder, state):
    save(folder, state)
    if int(state.step) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
train.save_state = save_and_die
train.finetune(DEBUG, [Path(sys.argv[1])], Path(sys.argv[2]), seed=1)
"""


def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(run, dataset, tmp_path):
    out = tmp_path / "killed"
    command = [sys.executable, "-c", FINETUNE_UNTIL_KILLED, str(dataset), str(out)]
    killed = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (out / "5.tmp").mkdir()  # what a kill while writing leaves behind
    finetune(DEBUG, [dataset], out, seed=1)
    assert checkpoint_steps(out) == [2, 4, 6]
    for step in (2, 4, 6):
        assert load_checkpoint(out, step).weight_hash == load_checkpoint(run, step).weight_hash
    assert (out / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()


def test_a_training_can_start_from_a_checkpoint(run, dataset, tmp_path):
    config = dataclasses.replace(DEBUG, steps=1, learning_rate=1e-9, schedule="constant")
    finetune(config, [dataset], tmp_path, seed=2, init=run)
    before, after = load_checkpoint(run).params, load_checkpoint(tmp_path).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), before, after)


def test_what_cannot_be_loaded_or_trained_on_is_named(run, dataset, tmp_path):
    with pytest.raises(CheckpointError, match=r"step 3.*\[2, 4, 6\]"):
        load_octo(run, 3)
    with pytest.raises(CheckpointError, match="other"):
        load_octo(run, statistics_key="other")
    folder = DatasetWriter(tmp_path / "side").folder
    DatasetWriter(folder).write(0, make_episode(0, cameras=("side_1",)))
    with pytest.raises(DatasetError, match=r"wrist_1.*side_1"):
        finetune(DEBUG, [folder], tmp_path / "out", seed=0)
