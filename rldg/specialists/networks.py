"""The networks as plain arrays. One `forward` serves NumPy (acting) and JAX (learning), so they cannot differ."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Layer = dict[str, Any]  # weight (in, out), bias (out), and gain, offset (out) of the layer norm
Layers = list[Layer]
LOG_STD = (-5.0, 1.0)  # bounds of the policy's logarithmic standard deviation, before tanh


def init_layers(generator: np.random.Generator, sizes: tuple[int, ...]) -> Layers:
    """Layers between consecutive `sizes`: weights of variance 1 / inputs, a tenth of the size in the last layer."""
    hidden = [init_normalised(generator, inputs, outputs) for inputs, outputs in pairwise(sizes[:-1])]
    weight = generator.standard_normal(sizes[-2:]) * 0.1 / np.sqrt(sizes[-2])
    return [*hidden, {"weight": weight.astype(np.float32), "bias": np.zeros(sizes[-1], np.float32)}]


def init_normalised(generator: np.random.Generator, inputs: int, outputs: int) -> Layer:
    """A linear layer with layer norm."""
    weight = generator.standard_normal((inputs, outputs)) / np.sqrt(inputs)
    zeros, ones = np.zeros(outputs, np.float32), np.ones(outputs, np.float32)
    return {"weight": weight.astype(np.float32), "bias": zeros, "gain": ones, "offset": zeros.copy()}


def normalised(layer: Layer, x: Any) -> Any:
    """Linear, then layer norm."""
    x = x @ layer["weight"] + layer["bias"]
    centred = x - x.mean(-1, keepdims=True)
    x = centred * ((centred * centred).mean(-1, keepdims=True) + 1e-6) ** -0.5
    return x * layer["gain"] + layer["offset"]


def forward(layers: Layers, x: Any, masks: Sequence[Any] = ()) -> Any:
    """Output (..., out) for input (..., in): linear, layer norm, ReLU, and a linear last layer.

    `masks`, one for each hidden layer, are what its output is multiplied by (dropout).
    """
    for index, layer in enumerate(layers[:-1]):
        x = normalised(layer, x)
        x = x * (x > 0)
        if masks:
            x = x * masks[index]
    return x @ layers[-1]["weight"] + layers[-1]["bias"]


def gaussian(trunk: Layers, x: Any, masks: Sequence[Any] = ()) -> tuple[Any, Any]:
    """Mean and logarithmic standard deviation (..., actions) of the policy before its tanh."""
    output = forward(trunk, x, masks)
    actions = output.shape[-1] // 2
    return output[..., :actions], output[..., actions:].clip(*LOG_STD)
