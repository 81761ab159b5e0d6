"""The sizes of Octo: the published ones, and `octo-tiny`, which trains from scratch on one CPU core."""

from dataclasses import replace

from rldg.errors import UnknownNameError
from rldg.generalists.octo.config import (
    DiffusionConfig,
    ImageConfig,
    LanguageConfig,
    ModelConfig,
    StemConfig,
    TokenLearnerConfig,
    TransformerConfig,
)

_PRIMARY = ImageConfig("primary", "primary", 256)
_WRIST = ImageConfig("wrist", "wrist", 128)

MODELS: dict[str, ModelConfig] = {
    # Trains in about four minutes on one core; conditioned on the wrist image and the instruction only (RLDG).
    # Many small patches and one block: its readout is a learned soft arg-max over positions, which is what a few
    # hundred frames suffice for (docs/finetune.md).
    "octo-tiny": ModelConfig(
        images=(
            ImageConfig(
                name="primary",
                camera="wrist_1",
                size=64,
                stem=StemConfig(
                    block=2,
                    features=(32, 64),
                    kernel_sizes=(3, 3),
                    strides=(1, 2),
                    padding=(1, 1),
                    groups=8,
                    num_features=64,
                ),
                goal=False,
            ),
        ),
        language=LanguageConfig(encoder="words", width=64, vocabulary_size=1024, max_length=12, t5=None),
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
        images=(
            ImageConfig(
                name="primary",
                camera="wrist_1",
                size=16,
                stem=StemConfig(
                    block=4, features=(16,), kernel_sizes=(3,), strides=(1,), padding=(1,), groups=4, num_features=16
                ),
                goal=False,
            ),
        ),
        language=LanguageConfig(encoder="words", width=8, vocabulary_size=64, max_length=6, t5=None),
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

# With iRe-VLA's head: the trunk of the same size, several readout tokens, actions by mean squared error.
MODELS |= {
    "irevla-tiny": replace(MODELS["octo-tiny"], head=TokenLearnerConfig(), readouts=4),
    "irevla-debug": replace(MODELS["octo-debug"], head=TokenLearnerConfig(tokens=2, hidden=(16,)), readouts=2),
}


def model_config(name: str) -> ModelConfig:
    """The named configuration; raises `UnknownNameError` with the valid names."""
    if name not in MODELS:
        raise UnknownNameError("Octo model", name, MODELS)
    return MODELS[name]
