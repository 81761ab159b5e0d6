"""Single modules of Octo, each with its own weights, give the original's numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rldg.errors import CheckpointError
from rldg.generalists.octo.bins import Binning
from rldg.generalists.octo.config import (
    ContinuousConfig,
    DiffusionConfig,
    DiscreteConfig,
    LowdimConfig,
    PatchConfig,
    StemConfig,
    T5Config,
)
from rldg.generalists.octo.diffusion import FourierFeatures, MLPResNetBlock, cosine_betas
from rldg.generalists.octo.heads import make_head, sample_draws
from rldg.generalists.octo.lowdim import LowdimTokenizer
from rldg.generalists.octo.pooling import MAPHead, TokenLearner
from rldg.generalists.octo.stem import ImageTokenizer, PatchEncoder, SmallStem, standardised
from rldg.generalists.octo.t5 import encode, position_buckets
from rldg.generalists.octo.transformer import BlockTransformer, TokenGroup
from tests.octo_golden import DIFFUSION, applied, arrays, nested


def close(value, wanted, atol=2e-5):
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=atol)


MODULES = {
    "map_head": (MAPHead(3), ("in0/tokens", "in0/mask")),
    "map_head_nomask": (MAPHead(), ("in0",)),
    "token_learner": (TokenLearner(4), ("in0",)),
    "fourier_features": (FourierFeatures(16), ("in0",)),
    "mlp_resnet_block": (MLPResNetBlock(DiffusionConfig()), ("in0",)),
    "patch_encoder16": (PatchEncoder(PatchConfig(num_features=32)), ("in0",)),
    "small_stem16_film": (SmallStem(StemConfig(features=(32, 32, 64, 64), num_features=48)), ("in0", "kw/cond_var")),
    "small_stem16_imagenet": (
        SmallStem(StemConfig(features=(32, 32, 32, 32), num_features=32, colours="imagenet")),
        ("in0",),
    ),
    "small_stem32": (
        SmallStem(StemConfig(features=(32, 32, 64, 64), num_features=40, embedding_kernel=2)),
        ("in0",),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_gives_the_originals_numbers(name):
    module, names = MODULES[name]
    golden = arrays("components", f"{name}.npz")
    found = applied(module, {"params": nested(golden, "params/")}, *(jnp.asarray(golden[key]) for key in names))
    close(found, golden["out"], 1e-4 if "stem" in name else 2e-5)


HEADS = {
    "head_mse_map": ContinuousConfig(action_horizon=3, loss="mse"),
    "head_l1_nomap": ContinuousConfig(action_horizon=3, pooling="mean"),
    "head_discrete_single_map": DiscreteConfig(action_horizon=3, pooling="attention", token_per="", bins=16),
    "head_discrete_tokenperdim_map": DiscreteConfig(action_horizon=3, pooling="attention", bins=16, bin_type="normal"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_the_originals_numbers(name):
    config, golden = HEADS[name], arrays("components", f"{name}.npz")
    head, weights = make_head(config), {"params": nested(golden, "params/")}
    readout = TokenGroup(
        jnp.asarray(golden["in0/readout_action"]), jnp.asarray(golden["in0/readout_action_mask"]), "readout_action"
    )
    close(applied(head, weights, readout), golden["out"])
    mask = golden["loss/action_pad_mask"] & golden["loss/timestep_pad_mask"][:, :, None, None]
    found = applied(head, weights, readout, jnp.asarray(golden["loss/actions"]), mask, {}, train=False, method="loss")
    for figure in found:
        np.testing.assert_allclose(found[figure], golden[f"loss/{figure}"], rtol=1e-4, err_msg=figure)
    draws = sample_draws(config, (2, 2), None)
    close(applied(head, weights, readout, draws, method="sample")[:, -1], golden["predict"])


def test_a_discrete_head_samples_by_its_logits():
    config = DiscreteConfig(action_dim=1, bins=4, pooling="attention", token_per="")
    head, readout = make_head(config), TokenGroup(jnp.ones((1, 1, 1, 8)), jnp.ones((1, 1, 1), bool), "readout_action")
    weights = jax.jit(head.init)(jax.random.key(0), readout)
    logits = np.asarray(applied(head, weights, readout))[0, 0, 0, 0]
    draws = sample_draws(config, (4000, 1, 1), np.random.default_rng(0))
    samples = np.asarray(applied(head, weights, readout, draws, method="sample")).ravel()
    share = [(np.isclose(samples, (index + 0.5) / 4)).mean() for index in range(4)]
    np.testing.assert_allclose(share, np.exp(logits) / np.exp(logits).sum(), atol=0.03)


def test_the_wrong_number_of_readouts_is_named():
    head = make_head(DiscreteConfig(action_horizon=3, bins=16))
    readout = TokenGroup(jnp.zeros((1, 1, 2, 8)), jnp.ones((1, 1, 2), bool), "readout_action")
    with pytest.raises(CheckpointError, match="needs 21 readout tokens"):
        head.init(jax.random.key(0), readout)


@pytest.mark.parametrize("steps", [5, 10, 20, 50, 100])
def test_the_noise_schedule_is_the_originals(steps):
    golden = arrays("components", "functions.npz")
    close(cosine_betas(steps), golden[f"cosine_beta_schedule/{steps}"], 1e-6)


def test_t5_gives_the_originals_embeddings():
    golden = arrays("components", "t5.npz")
    found = encode(nested(golden, "params/"), DIFFUSION.language.t5, golden["input_ids"], golden["attention_mask"])
    close(found, golden["out"], 1e-6)


def test_relative_positions_fall_into_the_buckets_of_t5():
    buckets = position_buckets(200, T5Config())
    assert buckets[0, :8].tolist() == [0, 17, 18, 19, 20, 21, 22, 23]  # keys after the query: the second half
    assert buckets[8, :8].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert buckets[150, 0] == 15 and buckets[0, 150] == 31
    assert buckets.min() == 0 and buckets.max() == 31


@pytest.mark.parametrize("wanted", [None, "readout_action"])
def test_the_transformer_gives_the_originals_outputs(wanted):
    case, params = arrays("case.npz"), nested(arrays("params.npz"))
    steps = case["input_tokens"][:, 16:].reshape(2, 2, 42, 64)
    sizes = {"obs_primary": 16, "obs_wrist": 9, "obs_task_language": 16, "readout_action": 1}
    groups = [TokenGroup(jnp.asarray(case["input_tokens"][:, :16]), jnp.ones((2, 16), bool), "task_language")]
    for (name, size), end in zip(sizes.items(), np.cumsum(list(sizes.values())), strict=True):
        tokens = jnp.asarray(steps[:, :, end - size : end])
        in_time = case["observation/timestep_pad_mask"][..., None]
        seen = in_time if name in ("obs_primary", "obs_wrist") else np.ones((2, 2, 1), bool)
        groups.append(TokenGroup(tokens, jnp.broadcast_to(seen, tokens.shape[:-1]), name))
    weights = {"params": params["octo_transformer"]["BlockTransformer_0"]}
    outputs = applied(BlockTransformer(DIFFUSION.transformer), weights, groups, train=False, wanted=wanted)
    assert set(outputs) == ({wanted} if wanted else {group.name for group in groups})
    for name, group in outputs.items():
        close(group.tokens, case[f"out/{name}/tokens"])


def test_the_diffusion_head_gives_the_originals_noise_loss_and_samples():
    case, params = arrays("case.npz"), nested(arrays("params.npz"))
    head, weights = make_head(DIFFUSION.head), {"params": params["heads_action"]}
    readout = TokenGroup(jnp.asarray(case["out/readout_action/tokens"]), jnp.ones((2, 2, 1), bool), "readout_action")
    close(applied(head, weights, readout, case["eps0/noisy_actions"], case["eps0/time"]), case["eps0/eps"])
    mask = case["action_pad_mask"] & case["observation/timestep_pad_mask"][:, :, None, None]
    draws = {"time": case["loss/time"], "noise": case["loss/noise"]}
    found = applied(head, weights, readout, case["action"], mask, draws, train=False, method="loss")
    np.testing.assert_allclose(found["loss"], case["loss/loss"], rtol=1e-4)
    draws = {"start": case["sample/noise_init"], "noises": case["sample/noise_steps"]}
    sampled = applied(head, weights, readout, draws, method="sample")
    np.testing.assert_allclose(sampled[:, -1], case["sample/actions"], atol=1e-3)


def test_an_image_tokenizer_gives_the_originals_tokens():
    case, params = arrays("case.npz"), nested(arrays("params.npz"))
    weights = params["octo_transformer"]["observation_tokenizers_wrist"]
    tokens = applied(
        ImageTokenizer(DIFFUSION.images[1]),
        {"params": weights},
        case["observation/image_wrist"],
        case["task/image_wrist"],
    )
    close(tokens, case["tokenizer/observation_tokenizers_wrist/tokens"], 5e-5)


def test_the_schedules_signal_is_the_originals():
    golden, betas = arrays("diffusion", "schedule.npz"), cosine_betas(20)
    close(betas, golden["betas"], 1e-6)
    close(1 - betas, golden["alphas"], 1e-6)
    close(np.cumprod(1 - betas), golden["alpha_hats"], 1e-6)


@pytest.mark.parametrize(
    "kind", ["uniform_0.0_1.0_256", "uniform_-2.0_2.0_16", "normal_0.0_1.0_256", "normal_-2.0_2.0_32"]
)
def test_bins_are_the_originals(kind):
    golden = arrays("components", "functions.npz")
    bin_type, low, high, bins = kind.split("_")
    binning = Binning(int(bins), bin_type, float(low), float(high))
    close(binning.thresholds, golden[f"bins/{kind}/thresholds"], 1e-6)
    np.testing.assert_array_equal(binning(golden[f"bins/{kind}/in"]), golden[f"bins/{kind}/tokens"])
    close(binning.decode(jnp.arange(int(bins))), golden[f"bins/{kind}/decode_all"], 1e-6)


def test_kernels_are_standardised_as_in_the_original():
    golden = arrays("components", "functions.npz")
    close(standardised(golden["weight_standardize/in"]), golden["weight_standardize/out"])


@pytest.mark.parametrize(("name", "keys"), [("raw", ("proprio", "extra.*")), ("disc", ("extra.*", "proprio"))])
def test_numbers_become_the_originals_tokens(name, keys):
    golden = arrays("components", "functions.npz")
    config = LowdimConfig("proprio", keys, discretize=name == "disc", bins=12, low=-2.0, high=2.0)
    tokens = LowdimTokenizer(config).apply({}, nested(golden, "lowdim/in/"))
    np.testing.assert_allclose(tokens, golden[f"lowdim/{name}/tokens"])
