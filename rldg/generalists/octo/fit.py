"""Whether weights are those of the model that a configuration describes, by shapes alone: nothing is computed."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import DiffusionConfig, ModelConfig, StemConfig
from rldg.generalists.octo.heads import loss_draws
from rldg.generalists.octo.model import OctoModule
from rldg.generalists.octo.weights import flat


def check_fit(model: ModelConfig, params: Mapping[str, Any], example: Mapping[str, Any]) -> None:
    """Raises `CheckpointError` unless `params` have every weight that `model` needs for inputs like `example`.

    `example` is an example batch: as in the original, what it lacks the model does not read.
    """
    given = flat(params)
    layers = _layers(model)
    if layers > len(given):  # before as many are built
        raise CheckpointError(f"The model that is described has {layers} layers, and {len(given)} arrays of weights.")
    try:
        wanted = flat(_shapes(model, example))
    except CheckpointError:
        raise
    except Exception as error:  # numbers that no module can be made of, each with an error of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"The model that is described cannot be built: {reason:.300}") from None
    shapes = {path: leaf.shape for path, leaf in given.items()}
    faults = [path for path, leaf in wanted.items() if shapes.get(path) != leaf.shape]
    if faults:
        path, *more = faults
        raise CheckpointError(
            f"The weights are not those of the model that is described: {path} is {shapes.get(path, 'missing')} "
            f"instead of {wanted[path].shape}{f', and {len(more)} more' if more else ''}."
        )


def _shapes(model: ModelConfig, example: Mapping[str, Any]) -> Any:
    observation: Any = jax.tree.map(jnp.asarray, example["observation"])
    task: Any = jax.tree.map(jnp.asarray, example["task"])
    batch, window = jax.tree.leaves(observation)[0].shape[:2]
    chunk = (batch, window, model.head.action_horizon, model.head.action_dim)

    def initialise() -> Any:
        key, actions = jax.random.key(0), jnp.zeros(chunk)
        draws = loss_draws(model.head, key, batch, window)
        module = OctoModule(model)
        return module.init(key, observation, task, actions, jnp.ones(chunk, bool), draws, method="loss")

    return jax.eval_shape(initialise)["params"]


def _layers(model: ModelConfig) -> int:
    stems = sum(len(image.stem.features) for image in model.images if isinstance(image.stem, StemConfig))
    text = model.language.t5.num_layers if model.language and model.language.t5 else 0
    head = model.head.num_blocks if isinstance(model.head, DiffusionConfig) else 0
    return int(np.sum([stems, text, head, model.transformer.num_layers], dtype=object))
