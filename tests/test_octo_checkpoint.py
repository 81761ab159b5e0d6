"""Checkpoints of the original Octo are read as they are, ours are read by its rules, and damaged ones say so."""

import errno
import json
import os
import shutil
import tracemalloc
from dataclasses import replace

import pytest

from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, StorageError
from rldg.generalists.octo import config as configs
from rldg.generalists.octo.checkpoint import CONFIG, EXAMPLE, checkpoint_steps, load_checkpoint, save_params
from rldg.generalists.octo.original_config import model_from_original
from rldg.generalists.octo.original_writing import model_to_original
from rldg.generalists.octo.sizes import MODELS
from rldg.generalists.octo.weights import NUMBERS, flat, packed, read_tree
from tests import octo_golden as golden
from tests.octo_checkpoints import LOWDIM, SMALL, as_original, edit, same, shapes, write
from tests.octo_golden import SHARED, needs_shared

CHECKPOINTS = SHARED / "checkpoints"
WEIGHTS = "10/default/checkpoint"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small checkpoint of ours, and its weights; not to be changed."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return folder, write(folder)


@pytest.fixture
def copy(checkpoint, tmp_path):
    """A copy of it to damage."""
    return shutil.copytree(checkpoint[0], tmp_path / "copy")


# What the original's checkpoints hold


@needs_shared
@pytest.mark.parametrize("name", golden.MODELS)
def test_an_original_checkpoint_is_read_whole_and_written_back_byte_for_byte(name, tmp_path):
    folder, (model, step) = CHECKPOINTS / name, golden.MODELS[name]
    found = load_checkpoint(folder)
    assert (found.model, found.step) == (model, step)
    assert same(found.params, golden.weights(name))
    assert found.image_sizes == {image.camera: 0 for image in model.images}  # nobody knows of which size they were
    assert found.lowdim == ({"proprio": 8} if name == "l1_proprio" else {})
    save_params(tmp_path, step, found.params)
    for file in ("checkpoint", "_METADATA"):
        old, new = folder / str(step) / "default" / file, tmp_path / str(step) / "default" / file
        if file == "checkpoint":
            assert new.read_bytes() == old.read_bytes()
        else:
            assert json.loads(new.read_text()) == json.loads(old.read_text())
    batch = folder / EXAMPLE
    assert b"".join(packed(read_tree(batch, NUMBERS))) == batch.read_bytes()


@needs_shared
def test_statistics_come_by_data_set_also_where_a_fine_tuning_left_the_name_out():
    assert list(load_checkpoint(CHECKPOINTS / "diffusion").statistics) == ["synth_arm_a", "synth_arm_b"]
    (flat_ones,) = load_checkpoint(CHECKPOINTS / "l1_proprio").statistics.values()
    assert flat_ones == golden.statistics("l1_proprio")


@needs_shared
def test_the_tensorstore_layout_gives_the_same_weights():
    found = load_checkpoint(SHARED / "checkpoints_alt" / "l1_ocdbt")
    assert same(found.params, golden.weights("l1_proprio"))


# The original's keywords that its files leave out, by class.
_ENCODER = {
    "use_film": False,
    "patch_size": 16,
    "kernel_sizes": [3, 3, 3, 3],
    "strides": [2, 2, 2, 2],
    "features": [32, 96, 192, 384],
    "padding": [1, 1, 1, 1],
    "num_features": 512,
    "img_norm_type": "default",
}
DEFAULTS = {
    "SmallStem16": _ENCODER,
    "ImageTokenizer": {"use_token_learner": False, "num_tokens": 8, "task_film_keys": []},
    "L1ActionHead": {"max_action": 5.0, "loss_type": "l1", "use_map": True},
    "DiffusionActionHead": {
        "max_action": 5.0,
        "loss_type": "mse",
        "use_layer_norm": True,
        "time_dim": 32,
        "num_blocks": 3,
        "hidden_dim": 256,
        "diffusion_steps": 20,
    },
}


def explicit(part):
    """A configuration of the original with its classes' defaults written out."""
    if not isinstance(part, dict):
        return part
    found = {key: explicit(value) for key, value in part.items()}
    if "kwargs" in found:
        found["kwargs"] = DEFAULTS.get(found["name"], {}) | found["kwargs"]
    return found


@needs_shared
@pytest.mark.parametrize("name", golden.MODELS)
def test_an_original_configuration_is_written_back_as_it_was(name):
    given = json.loads((CHECKPOINTS / name / CONFIG).read_text())
    written = json.loads(json.dumps(model_to_original(golden.MODELS[name][0])))
    for entry in ("model", "text_processor", "window_size"):
        assert explicit(written[entry]) == explicit(given[entry])


@needs_shared
@pytest.mark.parametrize(("name", "count"), [("octo-small-1.5", 136_670_604), ("octo-base-1.5", 202_458_636)])
def test_the_published_configurations_give_the_published_trees(name, count):
    given = json.loads((SHARED / "real_size" / f"config_from_repo_{name}.json").read_text())
    tree = json.loads((SHARED / "real_size" / f"param_tree_{name}.json").read_text())["params"]
    model = model_from_original(given, {path: tuple(shape) for path, (shape, _) in tree.items()}, {})
    assert model == MODELS[name]
    found = flat(shapes(model))
    assert {path: [list(leaf.shape), leaf.dtype.name] for path, leaf in found.items()} == tree
    assert sum(leaf.size for leaf in found.values()) == count
    written = json.loads(json.dumps(model_to_original(model)))
    assert explicit(written["model"]) == explicit(given["model"])


# What we write


_PRIMARY, _WRIST = SMALL.images
_PATCHES = configs.PatchConfig(patch_size=4, num_features=8, colours="imagenet")
VARIANTS = {
    "diffusion": SMALL,
    "attention pooling, L1 diffusion": replace(
        SMALL, head=configs.DiffusionConfig(hidden_dim=16, pooling="attention", loss="l1", samples=2, action_dim=8)
    ),
    "L1": replace(SMALL, head=configs.ContinuousConfig(action_horizon=3)),
    "MSE": replace(SMALL, head=configs.ContinuousConfig(loss="mse", pooling="mean", max_action=2.0)),
    "discrete": replace(SMALL, head=configs.DiscreteConfig(bins=8, bin_type="normal"), readouts=7),
    "patches, learned tokens, no goal": replace(
        SMALL, images=(replace(_PRIMARY, stem=_PATCHES, learned_tokens=3, goal=False), _WRIST)
    ),
    "SmallStem32, bins, attention of 2023": replace(
        SMALL,
        images=(replace(_PRIMARY, stem=replace(_PRIMARY.stem, module="SmallStem32", embedding_kernel=2)),),
        lowdim=(configs.LowdimConfig("proprio", discretize=True, bins=9, low=-1.0),),
        use_correct_attention=False,
        repeat_task_tokens=False,
        window=1,
    ),
    "gated T5": replace(
        SMALL, language=replace(SMALL.language, t5=replace(SMALL.language.t5, gated=True, num_layers=2))
    ),
    "a stem with FiLM": replace(
        SMALL, images=(replace(_PRIMARY, stem=replace(_PRIMARY.stem, film=True), film_keys=("gain",)), _WRIST)
    ),
    "goals only": replace(SMALL, language=None),
}


@pytest.mark.parametrize("model", VARIANTS.values(), ids=VARIANTS)
def test_what_is_written_is_read_back_with_and_without_what_only_we_write(model, tmp_path):
    params = write(tmp_path, model)
    ours = load_checkpoint(tmp_path)
    assert ours.action_contract == ActionContract(0.01, 0.1, 10.0, "fixed")
    as_original(tmp_path)
    original = load_checkpoint(tmp_path)
    assert original.action_contract is None
    for found in (ours, original):
        assert found.model == model
        assert same(found.params, params)
        assert found.lowdim == LOWDIM
        assert list(found.statistics) == ["some_set"]


@pytest.mark.filterwarnings("ignore")  # of the checkpointers, about the age of what they are asked for
def test_orbax_restores_what_we_write_by_the_rules_of_the_original(checkpoint):
    from orbax import checkpoint as orbax

    folder, params = checkpoint
    assert same(orbax.PyTreeCheckpointer().restore(folder / "10" / "default"), params)
    manager = orbax.CheckpointManager(folder, orbax.PyTreeCheckpointer())
    assert manager.latest_step() == 10
    assert same(manager.restore(10, items=shapes(SMALL, LOWDIM)), params)


@pytest.mark.parametrize("ocdbt", [True, False])
def test_the_layouts_of_todays_orbax_are_read(ocdbt, copy, checkpoint):
    from etils import epath
    from orbax import checkpoint as orbax

    _, params = checkpoint
    shutil.rmtree(copy / "10")
    handler = orbax.PyTreeCheckpointHandler(use_ocdbt=ocdbt, use_zarr3=False)
    (copy / "10" / "default").mkdir(parents=True)
    handler.save(epath.Path(copy / "10" / "default"), args=orbax.args.PyTreeSave(params))
    handler.finalize(epath.Path(copy / "10" / "default"))
    handler.close()
    assert same(load_checkpoint(copy).params, params)


def test_a_model_that_the_original_cannot_build_says_so_and_loads_here(tmp_path):
    params = write(tmp_path, MODELS["octo-debug"])
    written = json.loads((tmp_path / CONFIG).read_text())
    assert any("words" in reason for reason in written["model"]["only_in_rldg"])
    assert any("clipping" in reason for reason in written["model"]["only_in_rldg"])
    found = load_checkpoint(tmp_path)
    assert found.model == MODELS["octo-debug"]
    assert same(found.params, params)
    as_original(tmp_path)
    with pytest.raises(CheckpointError, match="heads"):
        load_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_older_weights_and_nothing_half(copy, checkpoint, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for step in (10, 20):
        with pytest.raises(StorageError, match="No space left"):
            save_params(copy, step, checkpoint[1])
    assert checkpoint_steps(copy) == [10]
    assert not list(copy.glob("*.tmp"))
    assert same(load_checkpoint(copy).params, checkpoint[1])


def test_the_step_that_is_asked_for_is_read(copy):
    save_params(copy, 20, read_tree(copy / WEIGHTS) | {"heads_action": load_checkpoint(copy).params["heads_action"]})
    assert load_checkpoint(copy).step == 20
    assert load_checkpoint(copy, 10).step == 10
    with pytest.raises(CheckpointError, match=r"step 15.*\[10, 20\]"):
        load_checkpoint(copy, 15)


@needs_shared
def test_reading_takes_little_more_memory_than_the_file():
    path = CHECKPOINTS / "diffusion" / "1000" / "default" / "checkpoint"
    tracemalloc.start()
    tree = read_tree(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(flat(tree)) == 126
    assert peak < 1.5 * path.stat().st_size


# Names of 2023


def test_names_of_2023_are_understood(copy):
    as_original(copy)

    def older(config):
        head = config["model"]["heads"]["action"]["kwargs"]
        head["pred_horizon"] = head.pop("action_horizon")
        for added_since in ("repeat_task_tokens", "use_correct_attention"):
            del config["model"][added_since]

    edit(copy / CONFIG, older)
    batch = dict(read_tree(copy / EXAMPLE, NUMBERS))
    batch["tasks"] = batch.pop("task")
    batch["observation"]["pad_mask"] = batch["observation"].pop("timestep_pad_mask")
    (copy / EXAMPLE).write_bytes(b"".join(packed(batch)))
    found = load_checkpoint(copy).model
    assert found == replace(SMALL, repeat_task_tokens=False, use_correct_attention=False)


def test_a_slot_that_the_original_never_filled_is_left_out(copy):
    as_original(copy)
    wrist = {"obs_wrist_pos_embedding", "obs_wrist_projection", "observation_tokenizers_wrist"}
    params = read_tree(copy / WEIGHTS)
    params["octo_transformer"] = {k: v for k, v in params["octo_transformer"].items() if k not in wrist}
    save_params(copy, 10, params)
    batch = read_tree(copy / EXAMPLE, NUMBERS)
    del batch["observation"]["image_wrist"], batch["task"]["image_wrist"]
    (copy / EXAMPLE).write_bytes(b"".join(packed(batch)))
    assert load_checkpoint(copy).model == replace(SMALL, images=SMALL.images[:1])
