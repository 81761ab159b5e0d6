"""The two networks as plain arrays. One `forward` serves NumPy (acting) and JAX (learning), so they cannot differ."""

from itertools import pairwise
from typing import Any

import numpy as np

Layers = list[dict[str, Any]]  # each: weight (in, out), bias (out), and gain, offset (out) of the layer norm
LOG_STD = (-5.0, 1.0)  # bounds of the policy's logarithmic standard deviation, before tanh


def init_layers(generator: np.random.Generator, sizes: tuple[int, ...]) -> Layers:
    """Layers between consecutive `sizes`: weights of variance 1 / inputs, a tenth of the size in the last layer."""
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        weight = generator.standard_normal((inputs, outputs)) * (0.1 if last else 1.0) / np.sqrt(inputs)
        layer = {"weight": weight.astype(np.float32), "bias": np.zeros(outputs, np.float32)}
        if not last:
            layer |= {"gain": np.ones(outputs, np.float32), "offset": np.zeros(outputs, np.float32)}
        layers.append(layer)
    return layers


def forward(layers: Layers, x: Any) -> Any:
    """Output (..., out) for input (..., in): linear, layer norm, ReLU, and a linear last layer."""
    for layer in layers[:-1]:
        x = x @ layer["weight"] + layer["bias"]
        centred = x - x.mean(-1, keepdims=True)
        x = centred * ((centred * centred).mean(-1, keepdims=True) + 1e-6) ** -0.5
        x = x * layer["gain"] + layer["offset"]
        x = x * (x > 0)
    return x @ layers[-1]["weight"] + layers[-1]["bias"]


def gaussian(actor: Layers, observation: Any) -> tuple[Any, Any]:
    """Mean and logarithmic standard deviation (..., actions) of the policy before its tanh."""
    output = forward(actor, observation)
    actions = output.shape[-1] // 2
    return output[..., :actions], output[..., actions:].clip(*LOG_STD)
