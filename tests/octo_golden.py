"""The files that the original Octo wrote, as the tests read them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization, traverse_util

from rldg.generalists.octo import config as configs
from rldg.generalists.octo.config import ModelConfig

HERE = Path(__file__).parent / "golden" / "octo"  # what every clone has: single modules, and parts of one case
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "octo"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the whole of the golden files is not here")

_PRIMARY = configs.ImageConfig("primary", "primary", 64, configs.StemConfig(num_features=128))
_WRIST = configs.ImageConfig("wrist", "wrist", 48, configs.StemConfig(features=(32, 64, 96, 128), num_features=64))
_T5 = configs.T5Config(vocabulary_size=132, width=32, mlp_dim=64, num_layers=2, num_attention_heads=4, head_dim=8)
_COMMON: dict[str, Any] = {
    "language": configs.LanguageConfig("t5-tiny", width=32, vocabulary_size=132, t5=_T5),
    "transformer": configs.TransformerConfig(num_layers=2, mlp_dim=128, num_attention_heads=4),
    "width": 64,
}
# The architectures of the two golden checkpoints.
DIFFUSION = ModelConfig(images=(_PRIMARY, _WRIST), head=configs.DiffusionConfig(hidden_dim=128), **_COMMON)
L1_PROPRIO = ModelConfig(
    images=(_PRIMARY,),
    lowdim=(configs.LowdimConfig("proprio", bin_type="normal", low=-2.0, high=2.0),),
    head=configs.ContinuousConfig(action_horizon=8),
    window=1,
    **_COMMON,
)
MODELS = {"diffusion": (DIFFUSION, 1000), "l1_proprio": (L1_PROPRIO, 1001)}
CASES = [(model, path.name) for model in MODELS for path in sorted((SHARED / model).glob("[01]*"))]


def arrays(*path: str) -> dict[str, np.ndarray]:
    """One npz file; skips the test if this clone does not have it."""
    files = [root.joinpath(*path) for root in (HERE, SHARED)]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        pytest.skip("the whole of the golden files is not here")
    with np.load(file) as content:
        return dict(content)


def nested(flat: dict[str, Any], prefix: str = "") -> Any:
    """The entries under a prefix as a tree of JAX arrays."""
    found = {key.removeprefix(prefix): jnp.asarray(flat[key]) for key in flat if key.startswith(prefix)}
    return traverse_util.unflatten_dict(found, sep="/")


def applied(module: Any, variables: Any, *inputs: Any, **options: Any) -> Any:
    """What a module makes of its inputs, as one program: op by op, each is compiled by itself, which takes longer."""
    return jax.jit(partial(module.apply, **options))(variables, *inputs)


def weights(model: str) -> Any:
    """The parameters of a golden checkpoint."""
    path = SHARED / "checkpoints" / model / str(MODELS[model][1]) / "default" / "checkpoint"
    return serialization.msgpack_restore(path.read_bytes())


def inputs(case: dict[str, np.ndarray]) -> tuple[Any, Any, Any, Any]:
    """Observation, task, actions and the mask of the loss of one case."""
    observation, task = nested(case, "observation/"), nested(case, "task/")
    mask = case["action_pad_mask"] & case["observation/timestep_pad_mask"][:, :, None, None]
    return observation, task, jnp.asarray(case["action"]), jnp.asarray(mask)


def statistics(model: str) -> Any:
    """The `dataset_statistics.json` of a golden checkpoint."""
    return json.loads((SHARED / "checkpoints" / model / "dataset_statistics.json").read_text())
