"""Configurations of Octo: the published sizes and `octo-tiny`, which trains from scratch on one CPU core."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from rldg.errors import CheckpointError, UnknownNameError


@dataclass(frozen=True)
class StemConfig:
    """Octo's SmallStem: weight-standardised convolutions with GroupNorm, then a patch embedding."""

    block: int = 1  # pixels, square, whose colours become the channels of one before the first convolution
    features: tuple[int, ...] = (32, 96, 192, 384)
    kernel_sizes: tuple[int, ...] = (3, 3, 3, 3)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    padding: tuple[int, ...] = (1, 1, 1, 1)
    groups: int = 32  # of each GroupNorm
    embedding_kernel: int = 1  # 2 for SmallStem32
    num_features: int = 512  # width of the patch embedding


@dataclass(frozen=True)
class ImageConfig:
    """One image tokenizer: which camera feeds it, at how many pixels, and whether a goal image is stacked behind."""

    name: str  # Octo's name of the slot, "primary" or "wrist"
    camera: str  # name of the camera in a task's observations
    size: int  # pixels, square, as the stem sees it
    stem: StemConfig = StemConfig()
    goal: bool = True  # goal image (zeros if absent) concatenated along the channels


@dataclass(frozen=True)
class LanguageConfig:
    """The text tokenizer and encoder. `encoder` "words": hashed words, learned embedding; "t5-*": embeddings given."""

    encoder: str = "t5-base"
    width: int = 768  # of the encoder's output
    vocabulary_size: int = 32128
    max_length: int = 16  # tokens; shorter instructions are padded, longer ones cut


@dataclass(frozen=True)
class TransformerConfig:
    """A pre-norm ViT."""

    num_layers: int = 12
    mlp_dim: int = 1536
    num_attention_heads: int = 6
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0


@dataclass(frozen=True)
class DiffusionConfig:
    """The diffusion action head (DDPM, cosine schedule)."""

    action_dim: int = 7
    action_horizon: int = 4
    steps: int = 20
    hidden_dim: int = 256
    num_blocks: int = 3
    time_dim: int = 32
    max_action: float = 5.0  # normalised actions are clipped to +- this
    clip: str = "sample"  # while denoising: "sample" clips the noisy action (Octo), "prediction" the clean one
    samples: int = 1  # (time, noise) draws per frame in the loss


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the parameter tree and the forward pass."""

    images: tuple[ImageConfig, ...]
    language: LanguageConfig = LanguageConfig()
    transformer: TransformerConfig = TransformerConfig()
    head: DiffusionConfig = DiffusionConfig()
    width: int = 384  # Octo's token_embedding_size
    readouts: int = 1
    window: int = 2
    max_horizon: int = 10
    repeat_task_tokens: bool = True
    position_init: str = "normal"  # "normal" (0.02, Octo) or "sincos": image positions start as 2-d sine waves


@dataclass(frozen=True)
class FinetuneConfig:
    """How a model is trained on a data set. The defaults are tuned for `octo-tiny` on 45 insertion episodes."""

    model: str = "octo-tiny"
    steps: int = 2000
    batch_size: int = 32
    optimizer: str = "muon"  # "muon": Muon for matrices, Adam for the rest; "adamw": AdamW for all
    learning_rate: float = 3e-3
    matrix_rate: float = 10.0  # learning rate of Muon's matrices over `learning_rate`
    warmup_steps: int = 50
    schedule: str = "cosine"  # to zero; or "constant" (RLDG's released Octo script: AdamW, 3e-5, 100 warm-up steps)
    weight_decay: float = 0.3  # large: the actions of a stochastic specialist are noisy, and are soon learned by heart
    clip_gradient: float = 1.0
    ema_decay: float = 0.99
    brightness: float = 0.1  # largest added brightness, as a share of full scale
    contrast: float = 0.1  # largest relative change of contrast
    color: float = 0.05  # largest relative change of each colour channel
    checkpoint_every: int = 250  # steps; these checkpoints are kept, so that success can be plotted over training
    log_every: int = 20
    validation_share: float = 0.0  # of the episodes


_PRIMARY = ImageConfig("primary", "side_1", 256)
_WRIST = ImageConfig("wrist", "wrist_1", 128)

MODELS: dict[str, ModelConfig] = {
    # Trains in about four minutes on one core; conditioned on the wrist image and the instruction only (RLDG).
    # Many small patches and one block: its readout is a learned soft arg-max over positions, which is what a few
    # hundred frames suffice for (docs/finetune.md).
    "octo-tiny": ModelConfig(
        images=(
            ImageConfig(
                "primary",
                "wrist_1",
                64,
                StemConfig(2, (32, 64), (3, 3), (1, 2), (1, 1), 8, num_features=64),
                goal=False,
            ),
        ),
        language=LanguageConfig("words", width=64, vocabulary_size=1024, max_length=12),
        transformer=TransformerConfig(num_layers=1, mlp_dim=128, num_attention_heads=8),
        head=DiffusionConfig(action_horizon=1, hidden_dim=64, samples=16, clip="prediction"),
        width=64,
        window=1,
        max_horizon=1,
        repeat_task_tokens=False,
        position_init="sincos",
    ),
    # Learns nothing worth having, within a second: for tests.
    "octo-debug": ModelConfig(
        images=(ImageConfig("primary", "wrist_1", 16, StemConfig(4, (16,), (3,), (1,), (1,), 4, 1, 16), goal=False),),
        language=LanguageConfig("words", width=8, vocabulary_size=64, max_length=6),
        transformer=TransformerConfig(num_layers=2, mlp_dim=32, num_attention_heads=2),
        head=DiffusionConfig(action_horizon=1, hidden_dim=32, samples=8, clip="prediction"),
        width=16,
        window=1,
        max_horizon=1,
        repeat_task_tokens=False,
        position_init="sincos",
    ),
    "octo-small-1.5": ModelConfig(images=(_PRIMARY, _WRIST)),
    "octo-base-1.5": ModelConfig(
        images=(_PRIMARY, _WRIST), width=768, transformer=TransformerConfig(mlp_dim=3072, num_attention_heads=12)
    ),
}


def model_config(name: str) -> ModelConfig:
    """The named configuration; raises `UnknownNameError` with the valid names."""
    if name not in MODELS:
        raise UnknownNameError("Octo model", name, MODELS)
    return MODELS[name]


def to_json(config: Any) -> dict[str, Any]:
    """A configuration as plain dictionaries and lists."""
    return dataclasses.asdict(config)


def model_from_json(content: dict[str, Any]) -> ModelConfig:
    """The inverse of `to_json`; raises `CheckpointError` on a file of another version."""
    try:
        images = tuple(
            ImageConfig(**image | {"stem": StemConfig(**{k: _tuple(v) for k, v in image["stem"].items()})})
            for image in content["images"]
        )
        parts = {
            "images": images,
            "language": LanguageConfig(**content["language"]),
            "transformer": TransformerConfig(**content["transformer"]),
            "head": DiffusionConfig(**content["head"]),
        }
        return ModelConfig(**content | parts)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"The checkpoint's model configuration cannot be read: {error}.") from error


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
