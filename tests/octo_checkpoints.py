"""Small checkpoints for tests: any model with random weights, written as `rldg` writes them."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rldg.env.types import ActionContract
from rldg.generalists.octo import config as configs
from rldg.generalists.octo.checkpoint import CONFIG, OWN, STATISTICS, save_params, write_description
from rldg.generalists.octo.config import ModelConfig
from rldg.generalists.octo.example_batch import example_batch
from rldg.generalists.octo.heads import loss_draws
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.weights import flat

_T5 = configs.T5Config(vocabulary_size=40, width=8, mlp_dim=16, num_layers=1, num_attention_heads=2, head_dim=4)
_STEM = configs.StemConfig(features=(32,), kernel_sizes=(3,), strides=(2,), padding=(1,), num_features=32)
# A model of a few thousand weights that the original's code can build as well.
SMALL = ModelConfig(
    images=(configs.ImageConfig("primary", "primary", 8, _STEM), configs.ImageConfig("wrist", "wrist", 4, _STEM)),
    lowdim=(configs.LowdimConfig("proprio"),),
    language=configs.LanguageConfig("t5-none", width=8, vocabulary_size=40, max_length=6, t5=_T5),
    transformer=configs.TransformerConfig(num_layers=1, mlp_dim=32, num_attention_heads=2),
    head=configs.DiffusionConfig(hidden_dim=16, num_blocks=1),
    width=16,
    max_horizon=3,
)
LOWDIM = {"proprio": 5}
CONDITION = {"gain": 3}  # an entry of the task that conditions a stem
STATISTICS_OF_SET = {"action": {"mean": [0.0] * 7, "std": [1.0] * 7, "mask": [True] * 6 + [False]}}


def shapes(model: ModelConfig, lowdim: dict[str, int] | None = None) -> dict[str, Any]:
    """The tree of a model's parameters, as shapes."""
    batch: Any = jax.tree.map(jnp.asarray, example_batch(model, lowdim or {}))
    key, mask = jax.random.key(0), batch["action_pad_mask"]
    inputs = batch["observation"], batch["task"], batch["action"], mask, loss_draws(model.head, key, 1, model.window)
    return jax.eval_shape(lambda: OctoModule(model).init(key, *inputs, method="loss"))["params"]


def weights(model: ModelConfig, lowdim: dict[str, int] | None = None, seed: int = 0) -> Any:
    """Random weights of a model."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes(model, lowdim))


def write(folder: Path, model: ModelConfig = SMALL, step: int = 10, tokenizer: Any = None) -> Any:
    """Writes a whole checkpoint into `folder` and returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    lowdim = (LOWDIM if model.lowdim else {}) | (CONDITION if model.images[0].film_keys else {})
    contract = ActionContract(0.01, 0.1, 10.0, "fixed")
    sizes = {image.camera: image.size for image in model.images}
    write_description(folder, model, FinetuneConfig(), contract, sizes, lowdim=lowdim, tokenizer=tokenizer)
    (folder / STATISTICS).write_text(json.dumps({"some_set": STATISTICS_OF_SET}))
    params = weights(model, lowdim)
    save_params(folder, step, params)
    return params


def edit(path: Path, change: Any) -> None:
    """Changes a JSON file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def as_original(folder: Path) -> None:
    """Takes away what only `rldg` writes."""
    edit(folder / CONFIG, lambda config: config.pop(OWN))


def same(one: Any, other: Any) -> bool:
    """Whether two trees have the same leaves, bit by bit."""
    a, b = flat(one), flat(other)
    return a.keys() == b.keys() and all(
        a[path].dtype == b[path].dtype
        and a[path].shape == b[path].shape
        and np.asarray(a[path]).tobytes() == np.asarray(b[path]).tobytes()
        for path in a
    )
