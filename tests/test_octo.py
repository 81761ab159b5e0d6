"""What fine-tuning Octo promises: it learns, what it leaves acts, and no kill changes it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rldg.data.writer import DatasetWriter
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, DatasetError, StageError
from rldg.generalists.octo.checkpoint import checkpoint_steps, load_checkpoint
from rldg.generalists.octo.heads import sample_draws
from rldg.generalists.octo.learner import Frames, Learner, batch_rows, on_device
from rldg.generalists.octo.policy import load_octo
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.sizes import model_config
from rldg.generalists.octo.tokenizer import WordTokenizer
from rldg.generalists.octo.train import finetune
from tests.synthetic_episodes import make_episode

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "octo"
SHARED = ROOT.parent / "shared" / "golden" / "octo"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the whole of the golden files is not here")

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
    draws = sample_draws(model.head, (2, 1), None)
    answer = learner.module.apply({"params": state.average}, observation, task, draws, method="sample")
    np.testing.assert_allclose(answer[:, 0], actions, atol=0.2)


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
