"""What an Octo is made of: every choice that decides its parameter tree and its forward pass."""

import dataclasses
from typing import Any, Literal

import pydantic
from pydantic.dataclasses import dataclass

from rldg.errors import CheckpointError

_STRICT = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class StemConfig:
    """Octo's SmallStem: weight-standardised convolutions with GroupNorm, then a patch embedding."""

    kind: Literal["small_stem"] = "small_stem"
    module: str = "SmallStem16"  # the original's class, which names the parameters
    block: int = 1  # pixels, square, whose colours become the channels of one before the first convolution
    features: tuple[int, ...] = (32, 96, 192, 384)
    kernel_sizes: tuple[int, ...] = (3, 3, 3, 3)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    padding: tuple[int, ...] = (1, 1, 1, 1)
    groups: int = 32  # of each GroupNorm
    embedding_kernel: int = 1  # and stride; 2 for SmallStem32
    num_features: int = 512  # width of the patch embedding
    film: bool = False  # whether the patches are scaled and shifted by a condition
    colours: Literal["default", "imagenet"] = "default"  # scaling of the pixels: to [-1, 1], or ImageNet's statistics


@dataclass(frozen=True, config=_STRICT)
class PatchConfig:
    """The patch encoder: one convolution without overlap."""

    kind: Literal["patch"] = "patch"
    module: str = "PatchEncoder"
    patch_size: int = 16  # pixels
    num_features: int = 512
    film: bool = False
    colours: Literal["default", "imagenet"] = "default"


@dataclass(frozen=True, config=_STRICT)
class ImageConfig:
    """One image tokenizer: which camera feeds it, at how many pixels, and whether a goal image is stacked behind."""

    name: str  # Octo's name of the slot, "primary" or "wrist"
    camera: str  # name of the camera in a task's observations
    size: int  # pixels, square, as the stem sees it
    stem: StemConfig | PatchConfig = StemConfig()
    goal: bool = True  # goal image (zeros if absent) concatenated along the channels
    film_keys: tuple[str, ...] = ()  # entries of the task, (B, D) each, that condition a stem with FiLM
    learned_tokens: int = 0  # tokens into which a TokenLearner pools the patches; 0: every patch is a token


@dataclass(frozen=True, config=_STRICT)
class LowdimConfig:
    """The tokenizer of plain numbers such as proprioception: each number is a token, raw or as one of some bins."""

    name: str  # "proprio"
    keys: tuple[str, ...] = ("proprio",)  # patterns (regular expressions) of the entries of the observation
    discretize: bool = False
    bins: int = 256
    bin_type: Literal["uniform", "normal"] = "uniform"
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, config=_STRICT)
class T5Config:
    """A T5 encoder (Raffel et al. 2020)."""

    vocabulary_size: int = 32128
    width: int = 768  # d_model
    mlp_dim: int = 3072  # d_ff
    num_layers: int = 12
    num_attention_heads: int = 12
    head_dim: int = 64  # d_kv
    buckets: int = 32  # of relative positions
    max_distance: int = 128
    gated: bool = False  # T5 1.1: GELU-gated MLP


@dataclass(frozen=True, config=_STRICT)
class LanguageConfig:
    """The text tokenizer and encoder."""

    encoder: str = "t5-base"  # name or folder of a T5 and its tokenizer; "words": hashed words, learned embedding
    width: int = 768  # of the encoder's output
    vocabulary_size: int = 32128
    max_length: int = 16  # tokens; shorter instructions are padded, longer ones cut
    t5: T5Config | None = T5Config()  # None for "words", and where instructions come as embeddings


@dataclass(frozen=True, config=_STRICT)
class TransformerConfig:
    """A pre-norm ViT."""

    num_layers: int = 12
    mlp_dim: int = 1536
    num_attention_heads: int = 6
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0


@dataclass(frozen=True, config=_STRICT)
class DiffusionConfig:
    """The diffusion action head (DDPM, cosine schedule)."""

    kind: Literal["diffusion"] = "diffusion"
    action_dim: int = 7
    action_horizon: int = 4
    pooling: Literal["mean", "attention"] = "mean"  # of the readout tokens (the original's `use_map`)
    steps: int = 20
    hidden_dim: int = 256
    num_blocks: int = 3
    time_dim: int = 32
    dropout_rate: float = 0.0
    layer_norm: bool = True
    max_action: float = 5.0  # normalised actions are clipped to +- this
    loss: Literal["mse", "l1"] = "mse"
    clip: Literal["sample", "prediction"] = "sample"  # while denoising: the noisy action (Octo) or the clean one
    samples: int = 1  # (time, noise) draws per frame in the loss


@dataclass(frozen=True, config=_STRICT)
class ContinuousConfig:
    """The heads that predict actions directly, by mean squared or absolute error."""

    kind: Literal["continuous"] = "continuous"
    action_dim: int = 7
    action_horizon: int = 1
    pooling: Literal["mean", "attention"] = "attention"
    max_action: float = 5.0  # predictions are squashed into +- this
    loss: Literal["mse", "l1"] = "l1"


@dataclass(frozen=True, config=_STRICT)
class DiscreteConfig:
    """The head that predicts each number of an action as one of some bins."""

    kind: Literal["discrete"] = "discrete"
    action_dim: int = 7
    action_horizon: int = 1
    pooling: Literal["mean", "attention"] = "mean"
    token_per: Literal["", "action_horizon", "action_dim_and_action_horizon"] = "action_dim_and_action_horizon"
    bins: int = 256
    bin_type: Literal["uniform", "normal"] = "uniform"


@dataclass(frozen=True, config=_STRICT)
class TokenLearnerConfig:
    """iRe-VLA's head: the readout tokens pooled by learned weights, then an MLP that predicts actions directly."""

    kind: Literal["token_learner"] = "token_learner"
    action_dim: int = 7
    action_horizon: int = 1
    tokens: int = 4  # readout tokens that it pools
    hidden: tuple[int, ...] = (128, 128)  # widths of the MLP
    max_action: float = 5.0  # predictions are squashed into +- this


HeadConfig = DiffusionConfig | ContinuousConfig | DiscreteConfig | TokenLearnerConfig


@dataclass(frozen=True, config=_STRICT)
class ModelConfig:
    """Everything that decides the parameter tree and the forward pass."""

    images: tuple[ImageConfig, ...]
    lowdim: tuple[LowdimConfig, ...] = ()
    language: LanguageConfig | None = LanguageConfig()  # None: goals are images only
    transformer: TransformerConfig = TransformerConfig()
    head: HeadConfig = DiffusionConfig()
    width: int = 384  # Octo's token_embedding_size
    readouts: int = 1  # tokens of the readout that the head reads
    window: int = 2
    max_horizon: int = 10  # timesteps for which there are positions
    repeat_task_tokens: bool = True
    use_correct_attention: bool = True  # False: the group that a token attends by is off by one, as in models of 2023
    position_init: Literal["normal", "sincos"] = "normal"  # 0.02 (Octo), or image positions start as 2-d sine waves


def to_json(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries and lists."""
    return dataclasses.asdict(config)


def model_from_json(content: dict[str, Any]) -> ModelConfig:
    """The inverse of `to_json`; raises `CheckpointError` on a file of another version."""
    try:
        return pydantic.TypeAdapter(ModelConfig).validate_python(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"The checkpoint's model configuration cannot be read: {place}: {first['msg']}."
        ) from error
