"""The model gives the original's numbers, obeys its attention rules, and has its published parameter trees."""

import dataclasses
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from rldg.errors import CheckpointError, UnknownNameError
from rldg.generalists.octo.config import model_from_json, to_json
from rldg.generalists.octo.diffusion import DiffusionActionHead
from rldg.generalists.octo.heads import loss_draws, make_head
from rldg.generalists.octo.model import OctoModule, OctoTransformer, example_inputs
from rldg.generalists.octo.sizes import MODELS, model_config
from rldg.generalists.octo.transformer import Transformer
from tests import octo_golden as golden
from tests.octo_golden import CASES, SHARED, arrays, needs_shared

pytestmark = needs_shared
FAST = {"02_w2_lang_padded", "07_w2_goal_primary_only", "02_w2_padded"}  # the other cases take three minutes
EVERY_CASE = [pytest.param(model, case, marks=() if case in FAST else pytest.mark.slow) for model, case in CASES]


def close(value, wanted, atol=2e-5):
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=atol)


def run(config, params, inputs):
    """Outputs of every group, and what the transformer's layers were given."""
    observation, task, _, _ = inputs
    seen = {}

    def note(call, args, kwargs, context):
        if isinstance(context.module, Transformer) and context.method_name == "__call__":
            seen.update(input_tokens=args[0], attention_mask=args[1])
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        outputs = OctoTransformer(config).apply({"params": params["octo_transformer"]}, observation, task)
    return outputs, seen


@pytest.mark.parametrize(("model", "case"), EVERY_CASE)
def test_every_token_and_mask_is_the_originals(model, case):
    config, _ = golden.MODELS[model]
    wanted = arrays(model, case, "outputs.npz")
    outputs, seen = run(config, golden.weights(model), golden.inputs(arrays(model, case, "inputs.npz")))
    close(seen["input_tokens"], wanted["input_tokens"], 5e-5)
    full = jnp.broadcast_to(seen["attention_mask"], wanted["attention_mask"].shape)
    np.testing.assert_array_equal(full, wanted["attention_mask"])
    groups = {key.split("/")[1] for key in wanted if key.startswith("out/")} - {"task", "obs"}
    assert groups == set(outputs)
    for name in groups:
        close(outputs[name].tokens, wanted[f"out/{name}/tokens"])
        np.testing.assert_array_equal(outputs[name].mask, wanted[f"out/{name}/mask"])
    for kind in ("task", "obs"):  # what the original's heads may also read: every group of a kind, end to end
        parts = [group for name, group in outputs.items() if name.startswith(f"{kind}_")]
        if f"out/{kind}/tokens" in wanted and parts:
            close(jnp.concatenate([part.tokens for part in parts], axis=-2), wanted[f"out/{kind}/tokens"])
            mask = jnp.concatenate([part.mask for part in parts], axis=-1)
            np.testing.assert_array_equal(mask, wanted[f"out/{kind}/mask"])


@pytest.mark.parametrize(("model", "case"), EVERY_CASE)
def test_every_module_on_the_way_gives_the_originals_numbers(model, case):
    config, _ = golden.MODELS[model]
    wanted = arrays(model, case, "outputs.npz")
    observation, task, _, _ = golden.inputs(arrays(model, case, "inputs.npz"))
    _, found = OctoTransformer(config).apply(
        {"params": golden.weights(model)["octo_transformer"]},
        observation,
        task,
        capture_intermediates=True,
        mutable=["intermediates"],
    )
    flat = traverse_util.flatten_dict(found["intermediates"], sep="/")
    compared = 0
    for key, value in wanted.items():
        if key.startswith("tokenizer/") and key.endswith("/tokens"):
            close(flat[key.removeprefix("tokenizer/").replace("/tokens", "/__call__")][0], value, 5e-5)
        elif key.startswith("stem/"):
            ours = flat[key.removeprefix("stem/") + "/__call__"][0]
            close(ours[: len(value)], value, 1e-4 if "StdConv" in key else 5e-5)
        elif key.startswith("blocks/"):
            ours = flat["BlockTransformer_0/Transformer_0/" + key.removeprefix("blocks/") + "/__call__"][0]
            close(ours, value)
        else:
            continue
        compared += 1
    assert compared >= 2


@pytest.mark.parametrize(("model", "case"), EVERY_CASE)
def test_noise_actions_loss_and_gradients_are_the_originals(model, case):
    check_diffusion(case) if model == "diffusion" else check_l1(case)


def check_diffusion(case):
    wanted, params = arrays("diffusion", case, "outputs.npz"), golden.weights("diffusion")
    config, _ = golden.MODELS["diffusion"]
    observation, task, actions, mask = golden.inputs(arrays("diffusion", case, "inputs.npz"))
    module, weights = OctoModule(config), {"params": params}
    head, head_weights = DiffusionActionHead(config.head), {"params": params["heads_action"]}
    readout = module.apply(weights, observation, task, method="readout")
    for number in (0, 1):
        noisy, time = wanted[f"eps{number}/noisy_actions"], wanted[f"eps{number}/time"]
        close(head.apply(head_weights, readout, noisy, time), wanted[f"eps{number}/eps"])
    if "sample/x_t" in wanted:
        noise = wanted["sample/noise_init"], wanted["sample/noise_steps"]
        path = head.apply(head_weights, readout, *noise, method="denoise")
        np.testing.assert_allclose(path, wanted["sample/x_t"][1:], atol=1e-3)
        times = np.broadcast_to(np.arange(19, -1, -1)[:, None, None, None], (20, *path.shape[1:-1], 1))
        close(head.apply(head_weights, readout, wanted["sample/x_t"][:-1], times), wanted["sample/eps_t"])
    draws = {"start": wanted["sample/noise_init"][:, -1:], "noises": wanted["sample/noise_steps"][:, :, -1:]}
    sampled = module.apply(weights, observation, task, draws, method="sample")
    np.testing.assert_allclose(sampled, wanted["sample/actions"], atol=1e-3)
    draws = {"time": wanted["loss/time"], "noise": wanted["loss/noise"]}
    check_loss(module, params, (observation, task, actions, mask), draws, "diffusion", case)


def check_l1(case):
    wanted, params = arrays("l1_proprio", case, "outputs.npz"), golden.weights("l1_proprio")
    config, _ = golden.MODELS["l1_proprio"]
    observation, task, actions, mask = golden.inputs(arrays("l1_proprio", case, "inputs.npz"))
    module = OctoModule(config)
    readout = module.apply({"params": params}, observation, task, method="readout")
    close(make_head(config.head).apply({"params": params["heads_action"]}, readout), wanted["head/mean"])
    sampled = module.apply({"params": params}, observation, task, {}, method="sample")
    close(sampled, wanted["predict/actions"])
    check_loss(module, params, (observation, task, actions, mask), {}, "l1_proprio", case)


def check_loss(module, params, inputs, draws, model, case):
    """Loss, error and every leaf's gradient; gradients are compared on the scale of the whole."""
    wanted = arrays(model, case, "outputs.npz")

    def loss(params):
        found = module.apply({"params": params}, *inputs, draws, False, method="loss")
        return found["loss"], found

    (_, found), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(found["loss"], wanted["loss/loss"], rtol=1e-4)
    np.testing.assert_allclose(found["mse"], wanted["loss/mse"], rtol=1e-4)
    flat = traverse_util.flatten_dict(gradient, sep="/")
    norms, whole = arrays(model, case, "grad_norms.npz"), float(wanted["loss/grad_norm"])
    assert set(flat) <= set(norms)
    np.testing.assert_allclose(np.sqrt(sum(np.sum(np.square(leaf)) for leaf in flat.values())), whole, rtol=1e-4)
    for name, norm in norms.items():
        if name in flat:
            np.testing.assert_allclose(np.linalg.norm(flat[name]), norm, atol=1e-3 * whole, err_msg=name)
    if (SHARED / model / case / "grads_small.npz").exists():
        for name, value in arrays(model, case, "grads_small.npz").items():
            np.testing.assert_allclose(flat[name], value, atol=1e-3 * whole, err_msg=name)


@pytest.mark.parametrize("correct", [0, 1])
@pytest.mark.parametrize("repeat", [0, 1])
def test_variants_of_the_attention_are_the_originals(correct, repeat):
    wanted, name = arrays("diffusion", "variants_case02.npz"), f"correct{correct}_repeat{repeat}"
    config = dataclasses.replace(golden.DIFFUSION, use_correct_attention=bool(correct), repeat_task_tokens=bool(repeat))
    outputs, seen = run(
        config, golden.weights("diffusion"), golden.inputs(arrays("diffusion", "02_w2_lang_padded", "inputs.npz"))
    )
    full = jnp.broadcast_to(seen["attention_mask"], wanted[f"{name}/attention_mask"].shape)
    np.testing.assert_array_equal(full, wanted[f"{name}/attention_mask"])
    for group in ("readout_action", "obs_primary", "task_language"):
        close(outputs[group].tokens, wanted[f"{name}/out/{group}/tokens"])


def test_many_samples_fewer_dimensions_and_many_draws_are_the_originals():
    wanted, params = arrays("diffusion", "variants_case02.npz"), golden.weights("diffusion")
    case = "02_w2_lang_padded"
    observation, task, actions, mask = golden.inputs(arrays("diffusion", case, "inputs.npz"))
    module = OctoModule(golden.DIFFUSION)

    def sample(start, noises, valid=None):
        draws = {"start": start[..., -1:, :], "noises": noises[..., -1:, :]}
        return module.apply({"params": params}, observation, task, draws, valid, method="sample")

    many = sample(wanted["sample_shape3/noise_init"], wanted["sample_shape3/noise_steps"])
    np.testing.assert_allclose(many, wanted["sample_shape3/actions"], atol=1e-3)
    raw = sample(wanted["raw/noise_init"], wanted["raw/noise_steps"])
    np.testing.assert_allclose(raw, wanted["raw/actions"], atol=1e-3)
    drawn = {
        "time": wanted["n_diffusion_samples4/time"],
        "noise": wanted["n_diffusion_samples4/noise"],
    }
    found = module.apply({"params": params}, observation, task, actions, mask, drawn, False, method="loss")
    np.testing.assert_allclose(found["loss"], wanted["n_diffusion_samples4/loss"], rtol=1e-4)
    np.testing.assert_allclose(found["mse"], wanted["n_diffusion_samples4/mse"], rtol=1e-4)


@pytest.mark.parametrize("name", ["octo-small-1.5", "octo-base-1.5"])
def test_published_sizes_have_the_published_parameter_tree(name):
    published = json.loads((SHARED / "real_size" / f"param_tree_{name}.json").read_text())
    config = model_config(name)
    draws = loss_draws(config.head, jax.random.key(0), 1, 2)
    module, inputs = OctoModule(config), example_inputs(config)
    shapes = jax.eval_shape(lambda key: module.init(key, *inputs, draws, method="loss"), jax.random.key(0))
    flat = traverse_util.flatten_dict(shapes["params"], sep="/")
    assert {path: [list(leaf.shape), str(leaf.dtype)] for path, leaf in flat.items()} == published["params"]
    assert sum(leaf.size for leaf in flat.values()) == published["param_counts"]["total"]


def test_time_runs_one_way_and_readouts_are_seen_by_nobody():
    config = dataclasses.replace(model_config("octo-debug"), window=2, max_horizon=2, repeat_task_tokens=True)
    module = OctoTransformer(config)
    images = np.random.default_rng(0).integers(0, 255, (1, 2, 16, 16, 3)).astype(np.uint8)
    task = {"language_instruction": {"input_ids": jnp.arange(6)[None]}}
    variables = jax.jit(module.init)(jax.random.key(0), {"image_primary": images}, task)

    @jax.jit
    def outputs(variables, images):
        found = module.apply(variables, {"image_primary": images}, task)
        return {name: group.tokens for name, group in found.items()}

    before = outputs(variables, images)
    changed = images.copy()
    changed[:, 1] = 0
    after = outputs(variables, changed)
    for name in ("obs_primary", "readout_action"):
        np.testing.assert_array_equal(before[name][:, 0], after[name][:, 0])
        assert np.abs(before[name][:, 1] - after[name][:, 1]).max() > 1e-3
    np.testing.assert_array_equal(before["task_language"], after["task_language"])

    params = dict(variables["params"])
    params["readout_action_pos_embedding"] = params["readout_action_pos_embedding"] + 1.0
    after = outputs({"params": params}, images)
    for name in ("task_language", "obs_primary", "obs_task_language"):
        np.testing.assert_array_equal(before[name], after[name])


def test_computing_again_instead_of_remembering_changes_no_gradient():
    config = model_config("octo-debug")
    inputs, draws = example_inputs(config, 2), loss_draws(config.head, jax.random.key(1), 2, 1)
    init = jax.jit(lambda key: OctoModule(config).init(key, *inputs, draws, method="loss"))
    variables = init(jax.random.key(0))

    def gradient(remat):
        module = OctoModule(config, remat)
        return jax.jit(jax.grad(lambda v: module.apply(v, *inputs, draws, True, method="loss")["loss"]))(variables)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), gradient(False), gradient(True))


def test_an_observation_that_the_model_cannot_read_is_named():
    config = model_config("octo-debug")
    with pytest.raises(CheckpointError, match=r"'image_side'.*image_primary"):
        OctoTransformer(config).init(jax.random.key(0), {"image_side": jnp.zeros((1, 1, 16, 16, 3))}, {})
    with pytest.raises(CheckpointError, match="window of 2"):
        OctoTransformer(config).init(jax.random.key(0), {"image_primary": jnp.zeros((1, 2, 16, 16, 3))}, {})


@pytest.mark.parametrize("name", MODELS)
def test_configurations_survive_json(name):
    assert model_from_json(json.loads(json.dumps(to_json(model_config(name))))) == model_config(name)


def test_a_configuration_of_another_version_is_named():
    content = to_json(model_config("octo-tiny"))
    content["transformer"]["experts"] = 8
    with pytest.raises(CheckpointError, match=r"transformer\.experts"):
        model_from_json(content)


def test_an_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="octo-tiny"):
        model_config("octo-tinny")
