"""How the original Octo and we name the same things: its classes and keywords, our dataclasses and fields."""

from collections.abc import Mapping
from typing import Any

from rldg.generalists.octo.config import (
    ContinuousConfig,
    DiffusionConfig,
    DiscreteConfig,
    LowdimConfig,
    PatchConfig,
    StemConfig,
)

Fields = Mapping[str, tuple[str, Any]]  # our field -> the original's keyword and its default there
Classes = Mapping[str, tuple[type, Fields]]  # the original's class -> our dataclass and its fields

COMPONENTS = "octo.model.components"
POOLING = {False: "mean", True: "attention"}  # the original's `use_map`

_CHUNK = {"action_dim": ("action_dim", 7), "action_horizon": ("action_horizon", 1)}
_DIRECT = _CHUNK | {"max_action": ("max_action", 5.0)}
_FOR_STEM = {
    "features": ("features", (32, 96, 192, 384)),
    "kernel_sizes": ("kernel_sizes", (3, 3, 3, 3)),
    "strides": ("strides", (2, 2, 2, 2)),
    "padding": ("padding", (1, 1, 1, 1)),
}
_FOR_PATCHES = {
    "film": ("use_film", False),
    "num_features": ("num_features", 512),
    "colours": ("img_norm_type", "default"),
}
_FOR_BINS = {
    "token_per": ("token_per", "action_dim_and_action_horizon"),
    "bins": ("vocab_size", 256),
    "bin_type": ("normalization_type", "uniform"),
}
HEADS: Classes = {
    "DiffusionActionHead": (
        DiffusionConfig,
        _DIRECT
        | {
            "pooling": ("use_map", False),
            "loss": ("loss_type", "mse"),
            "time_dim": ("time_dim", 32),
            "num_blocks": ("num_blocks", 3),
            "dropout_rate": ("dropout_rate", 0.0),
            "hidden_dim": ("hidden_dim", 256),
            "layer_norm": ("use_layer_norm", True),
            "steps": ("diffusion_steps", 20),
            "samples": ("n_diffusion_samples", 1),
        },
    ),
    "ContinuousActionHead": (ContinuousConfig, _DIRECT | {"pooling": ("use_map", False), "loss": ("loss_type", "mse")}),
    "MSEActionHead": (ContinuousConfig, _DIRECT | {"pooling": ("use_map", True), "loss": ("loss_type", "mse")}),
    "L1ActionHead": (ContinuousConfig, _DIRECT | {"pooling": ("use_map", True), "loss": ("loss_type", "l1")}),
    "DiscreteActionHead": (DiscreteConfig, _CHUNK | {"pooling": ("use_map", False)} | _FOR_BINS),
    "TokenPerDimActionHead": (DiscreteConfig, _CHUNK | {"pooling": ("use_map", False)} | _FOR_BINS),
}
STEMS: Classes = {
    "SmallStem": (StemConfig, _FOR_STEM | _FOR_PATCHES | {"embedding_kernel": ("patch_size", 32)}),
    "SmallStem16": (StemConfig, _FOR_STEM | _FOR_PATCHES | {"embedding_kernel": ("patch_size", 16)}),
    "SmallStem32": (StemConfig, _FOR_STEM | _FOR_PATCHES | {"embedding_kernel": ("patch_size", 32)}),
    "PatchEncoder": (PatchConfig, _FOR_PATCHES | {"patch_size": ("patch_size", 32)}),
}
LOWDIM: Classes = {
    "LowdimObsTokenizer": (
        LowdimConfig,
        {
            "keys": ("obs_keys", ()),
            "discretize": ("discretize", False),
            "bins": ("n_bins", 256),
            "bin_type": ("bin_type", "uniform"),
            "low": ("low", 0.0),
            "high": ("high", 1.0),
        },
    )
}
TRANSFORMER = {
    "num_layers": ("num_layers", None),
    "mlp_dim": ("mlp_dim", None),
    "num_attention_heads": ("num_attention_heads", None),
    "dropout_rate": ("dropout_rate", 0.1),
    "attention_dropout_rate": ("attention_dropout_rate", 0.1),
}
