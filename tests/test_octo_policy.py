"""What an Octo promises when it acts: the original's chunks, history and predictions, compiled once per episode."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from PIL import Image

from rldg.cli.main import dispatch
from rldg.data.normalisation import Normalisation
from rldg.data.transform import ImageTransform
from rldg.env.types import STATE_PARTS, ActionContract
from rldg.errors import CheckpointError, UnknownNameError, UsageError
from rldg.generalists.chunks import RecedingHorizon, TemporalEnsemble, chunk_execution
from rldg.generalists.octo.checkpoint import Checkpoint
from rldg.generalists.octo.config import ContinuousConfig, LowdimConfig
from rldg.generalists.octo.heads import loss_draws
from rldg.generalists.octo.history import History
from rldg.generalists.octo.model import OctoModule, example_inputs
from rldg.generalists.octo.policy import OctoPolicy
from rldg.generalists.octo.sizes import model_config
from rldg.resolve import load_policy
from rldg.tasks import load_task
from tests import octo_golden as golden
from tests.octo_golden import SHARED, arrays, needs_shared

INSTRUCTIONS = ("pick up the red block", "open the drawer slowly")  # of the golden cases' two samples


@needs_shared
@pytest.mark.parametrize("weight", ["0", "0.3"])
def test_ensembling_over_time_is_the_originals(weight):
    found = arrays("data", "images_env.npz")
    chunks = iter(found[f"temporal_ensemble/w{weight}/chunks"])
    execution = TemporalEnsemble(float(weight))
    executed = [execution(lambda: next(chunks)) for _ in range(7)]
    np.testing.assert_allclose(executed, found[f"temporal_ensemble/w{weight}/executed"], atol=1e-6)


@needs_shared
def test_a_receding_horizon_is_the_originals():
    found = arrays("data", "images_env.npz")
    chunks = iter(found["rhc3/chunks"])
    execution = RecedingHorizon(3)
    np.testing.assert_array_equal([execution(lambda: next(chunks)) for _ in range(6)], found["rhc3/executed"])


@needs_shared
def test_history_images_and_state_reach_the_model_as_in_the_original():
    found = arrays("data", "images_env.npz")
    crop = ImageTransform(height=64, width=64, crop_scale=(0.9, 0.9))  # what acting makes of random crops
    plain = ImageTransform(height=32, width=32)
    scale = {"mean": found["env/proprio_mean"], "std": found["env/proprio_std"]}
    state = Normalisation.of({"proprio": scale}, "proprio")
    history = History(2)
    for step in range(3):
        raw = {name: found[f"env/step{step}/raw/{name}"] for name in ("image_primary", "image_wrist", "proprio")}
        history.append(
            {
                "image_primary": crop(raw["image_primary"]),
                "image_wrist": plain(raw["image_wrist"]),
                "proprio": state.normalise(raw["proprio"]),
            }
        )
        ours, wanted = history.observation(), f"env/step{step}/obs/"
        np.testing.assert_array_equal(ours["timestep_pad_mask"][0], found[wanted + "timestep_pad_mask"].astype(bool))
        np.testing.assert_allclose(ours["proprio"][0], found[wanted + "proprio"], atol=1e-5)
        for name in ("image_wrist", "image_primary"):
            difference = np.abs(ours[name][0].astype(int) - found[wanted + name].astype(int))
            assert difference.max() <= 1, (name, difference.max())


@needs_shared
@pytest.mark.parametrize(("case", "told"), [("01_w1_lang", True), ("03_w1_noproprio", False)])
def test_predict_gives_the_originals_actions(case, told, tmp_path, capsys):
    given = arrays("l1_proprio", case, "inputs.npz")
    wanted = arrays("l1_proprio", case, "outputs.npz")["predict/actions_unnorm_normal"]
    key, statistics = next(iter(keyed(golden.statistics("l1_proprio")).items()))
    for sample, instruction in enumerate(INSTRUCTIONS):
        file = tmp_path / f"{sample}.png"
        Image.fromarray(given["observation/image_primary"][sample, 0]).save(file)
        command = ["predict", str(SHARED / "checkpoints/l1_proprio"), "--image", f"primary={file}"]
        command += ["--instruction", instruction, "--statistics", key]
        if told:  # the file holds the state as the model reads it, the command takes it in its units
            scale, seen = statistics["proprio"], given["observation/proprio"][sample, 0]
            state = np.array(scale["mean"]) + seen * (np.array(scale["std"]) + 1e-8)  # one number never changes
            command += ["--proprio", *(repr(float(number)) for number in state)]
        assert dispatch(command) == 0
        answer = json.loads(capsys.readouterr().out)
        np.testing.assert_allclose(answer["actions"], wanted[sample], atol=1e-4)


def keyed(statistics):
    return {"dataset": statistics} if "action" in statistics else statistics


@needs_shared
@pytest.mark.parametrize("kind", ["normal", "bounds", "dim5"])
def test_samples_in_the_data_sets_units_are_the_originals(kind):
    wanted, case = arrays("diffusion", "variants_case02.npz"), "02_w2_lang_padded"
    observation, task, _, _ = golden.inputs(arrays("diffusion", case, "inputs.npz"))
    statistics = golden.statistics("diffusion")["synth_arm_a"]
    if kind == "dim5":
        statistics = {"action": {name: wanted[f"dim5/stats/{name}"] for name in ("mean", "std", "mask")}}
    scale = Normalisation.of(statistics, mode="bounds" if kind == "bounds" else "normal")
    valid = np.arange(7) < len(scale.mask)
    draws = {"start": wanted["raw/noise_init"][:, -1:], "noises": wanted["raw/noise_steps"][:, :, -1:]}
    weights = {"params": golden.weights("diffusion")}
    actions = golden.applied(
        OctoModule(golden.DIFFUSION), weights, observation, task, draws, valid=valid, method="sample"
    )
    np.testing.assert_allclose(scale.restore(np.asarray(actions)[..., valid]), wanted[f"{kind}/actions"], atol=1e-4)


def checkpoint(**changes):
    """A small model with random weights, and what an insertion's statistics look like."""
    model = dataclasses.replace(model_config("octo-debug"), **changes)
    lowdim = {"proprio": 20} if model.lowdim else {}
    inputs = example_inputs(model, lowdim=lowdim)
    draws = loss_draws(model.head, jax.random.key(0), 1, model.window)
    init = partial(OctoModule(model).init, method="loss")
    flat = traverse_util.flatten_dict(jax.eval_shape(init, jax.random.key(0), *inputs, draws)["params"])
    rng = np.random.default_rng(0)
    params = {path: jnp.asarray(rng.normal(0, 0.3, leaf.shape).astype(np.float32)) for path, leaf in flat.items()}
    action = {"mean": [0.0] * 7, "std": [0.003] * 6 + [1.0], "mask": [True] * 6 + [False]}
    return Checkpoint(
        model=model,
        params=traverse_util.unflatten_dict(params),
        statistics={"insertion": {"action": action, "proprio": {"mean": [0.0] * 20, "std": [1.0] * 20}}},
        step=1,
        weight_hash="0" * 16,
        action_contract=ActionContract(0.015, 0.1, 10.0, "fixed"),
        image_sizes={"wrist_1": 16},
        images={image.name: ImageTransform(height=image.size, width=image.size) for image in model.images},
        folder=None,
        lowdim=lowdim,
    )


def observations(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        state = {part: rng.normal(size=size).astype(np.float32) for part, size in STATE_PARTS.items()}
        yield {"images": {"wrist_1": rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)}, "state": state}


WINDOWS = {
    "window": 2,
    "max_horizon": 3,
    "head": dataclasses.replace(model_config("octo-debug").head, action_horizon=4),
    "lowdim": (LowdimConfig("proprio"),),
}


@pytest.mark.parametrize(
    ("execution", "predictions"), [(RecedingHorizon(), 3), (RecedingHorizon(2), 5), (TemporalEnsemble(), 10)]
)
def test_an_episode_compiles_once_and_predicts_as_often_as_asked(execution, predictions):
    policy = OctoPolicy(checkpoint(**WINDOWS), execution=execution)
    calls = []
    sample = policy._sample
    policy._sample = lambda *given: calls.append(1) or sample(*given)
    task = load_task("usb_a_insertion")
    for episode in range(2):
        policy.reset(task, task.instruction, seed=episode)
        for observation in observations(10, episode):
            action = policy.act(observation)
            assert action.shape == (1, 7)
            assert np.abs(action).max() <= 1
    assert len(calls) == 2 * predictions
    assert sample._cache_size() == 1


def test_an_episode_remembers_nothing_of_the_one_before():
    task = load_task("usb_a_insertion")
    policy = OctoPolicy(checkpoint(**WINDOWS), stochastic=True, execution=TemporalEnsemble(0.1))
    episodes = []
    for seed in (1, 2, 1):
        policy.reset(task, task.instruction, seed=seed)
        episodes.append([policy.act(observation) for observation in observations(5)])
    np.testing.assert_array_equal(episodes[0], episodes[2])
    assert np.abs(np.array(episodes[0]) - np.array(episodes[1])).max() > 0


def test_what_a_model_saw_and_where_it_is_change_what_it_does():
    policy = OctoPolicy(checkpoint(head=ContinuousConfig(), lowdim=WINDOWS["lowdim"]))
    image = {"wrist_1": np.full((16, 16, 3), 90, np.uint8)}
    told = policy.predict(image, "insert", proprio=np.zeros(20, np.float32))
    assert np.abs(told - policy.predict(image, "insert")).max() > 1e-6
    assert np.abs(told - policy.predict(image, "insert", proprio=np.ones(20, np.float32))).max() > 1e-6
    with pytest.raises(UsageError, match="20 numbers; got 3"):
        policy.predict(image, "insert", proprio=np.zeros(3, np.float32))
    with pytest.raises(UsageError, match="'wrist_1' take no goal"):
        policy.predict(image, "", goal=image)


@needs_shared
def test_a_goal_image_changes_what_the_original_does():
    policy = load_policy(str(SHARED / "checkpoints/diffusion"))
    rng = np.random.default_rng(0)
    images = {name: rng.integers(0, 255, (64, 64, 3)).astype(np.uint8) for name in ("primary", "wrist")}
    goal = {"primary": rng.integers(0, 255, (80, 80, 3)).astype(np.uint8)}
    assert policy.predict(images, "", goal=goal).shape == (4, 7)
    assert np.abs(policy.predict(images, "", goal=goal) - policy.predict(images, "")).max() > 1e-5


@needs_shared
def test_a_foreign_checkpoint_sees_through_the_cameras_that_are_named():
    source = str(SHARED / "checkpoints/diffusion")
    images = {name: np.full((50, 50, 3), shade, np.uint8) for name, shade in (("primary", 40), ("wrist", 200))}
    named = load_policy(f"{source}:primary=side_1,wrist=wrist_1")
    assert named.metadata.image_sizes == {"side_1": 0, "wrist_1": 0}
    found = named.predict({"side_1": images["primary"], "wrist_1": images["wrist"]}, "insert it")
    np.testing.assert_array_equal(found, load_policy(source).predict(images, "insert it"))
    with pytest.raises(UnknownNameError, match="'wrist'"):
        load_policy(f"{SHARED / 'checkpoints/l1_proprio'}:wrist=wrist_1")


def test_options_of_a_generalist_are_read_and_what_they_do_not_mean_is_named(tmp_path):
    (tmp_path / "specialist").mkdir()
    with pytest.raises(UnknownNameError, match="Did you mean 'ensemble'"):
        load_policy(f"{tmp_path}:ensembel=1")
    with pytest.raises(UsageError, match="'execute=two' is no int"):
        load_policy(f"{tmp_path}:execute=two")
    with pytest.raises(UsageError, match="no generalist"):
        load_policy(f"{tmp_path / 'specialist'}:execute=2")
    with pytest.raises(UsageError, match="does not go with"):
        chunk_execution(2, 0.1)
    with pytest.raises(UsageError, match="At least one action"):
        chunk_execution(0)
    with pytest.raises(UsageError, match="finite"):
        chunk_execution(ensemble=float("nan"))
    with pytest.raises(CheckpointError, match="other"):
        OctoPolicy(checkpoint(), statistics_key="other")
