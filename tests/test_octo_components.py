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
)
from rldg.generalists.octo.diffusion import FourierFeatures, MLPResNetBlock, cosine_betas
from rldg.generalists.octo.heads import make_head, sample_draws
from rldg.generalists.octo.lowdim import LowdimTokenizer
from rldg.generalists.octo.pooling import MAPHead, TokenLearner
from rldg.generalists.octo.stem import PatchEncoder, SmallStem, standardised
from rldg.generalists.octo.transformer import TokenGroup
from tests.octo_golden import arrays, needs_shared, nested

pytestmark = needs_shared


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
    found = module.apply({"params": nested(golden, "params/")}, *(jnp.asarray(golden[key]) for key in names))
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
    close(head.apply(weights, readout), golden["out"])
    mask = golden["loss/action_pad_mask"] & golden["loss/timestep_pad_mask"][:, :, None, None]
    found = head.apply(weights, readout, jnp.asarray(golden["loss/actions"]), mask, {}, False, method="loss")
    for figure in found:
        np.testing.assert_allclose(found[figure], golden[f"loss/{figure}"], rtol=1e-4, err_msg=figure)
    draws = sample_draws(config, (2, 2), None)
    close(head.apply(weights, readout, draws, method="sample")[:, -1], golden["predict"])


def test_a_discrete_head_samples_by_its_logits():
    config = DiscreteConfig(action_dim=1, bins=4, pooling="attention", token_per="")
    head, readout = make_head(config), TokenGroup(jnp.ones((1, 1, 1, 8)), jnp.ones((1, 1, 1), bool), "readout_action")
    weights = head.init(jax.random.key(0), readout)
    logits = np.asarray(head.apply(weights, readout))[0, 0, 0, 0]
    draws = sample_draws(config, (4000, 1, 1), np.random.default_rng(0))
    samples = np.asarray(head.apply(weights, readout, draws, method="sample")).ravel()
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
