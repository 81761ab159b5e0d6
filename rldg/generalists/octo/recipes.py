"""How a model is trained: what of it, by which rule, on what pictures, on how many devices. Recipes by name."""

from dataclasses import dataclass, field
from typing import Literal

from rldg.data.resize import Method
from rldg.errors import UnknownNameError, UsageError
from rldg.generalists.octo.changes import Changes


@dataclass(frozen=True)
class FinetuneConfig:
    """How a model is trained on a data set. The defaults are tuned for `octo-tiny` on 45 insertion episodes."""

    # Architecture to start from at random; a checkpoint's own takes its place (--init).
    model: str = "octo-tiny"
    # What is changed of the architecture.
    changes: Changes = field(default_factory=Changes)

    # What is trained: everything, the action head, all but the transformer's blocks, or adapters on those blocks
    # (and everything outside them). A pretrained text encoder never is.
    mode: Literal["full", "head_only", "frozen_transformer", "lora"] = "full"
    # Patterns of further weights that stay as they are, such as "octo_transformer/observation_tokenizers_*".
    freeze: tuple[str, ...] = ()
    # Rank of the adapters.
    lora_rank: int = 32
    # The adapters' product is scaled by this over the rank.
    lora_alpha: float = 16.0
    # Layers of each block that get adapters: attention (query, key, value, out) and MLP (Dense_0, Dense_1).
    lora_layers: tuple[str, ...] = ("query", "key", "value", "out", "Dense_0", "Dense_1")

    # Updates.
    steps: int = 2000
    # Samples per update, over all devices.
    batch_size: int = 32
    # Parts into which a batch is cut, one after the other, to save memory; the update is the same.
    accumulate: int = 1

    # Muon for matrices and Adam for the rest, or AdamW for all.
    optimizer: Literal["muon", "adamw"] = "muon"
    # After the warm-up, of AdamW and Adam.
    learning_rate: float = 3e-3
    # Learning rate of Muon's matrices over `learning_rate`.
    matrix_rate: float = 10.0
    # After the warm-up: to zero along a cosine, the same for ever, or as 1 / sqrt(1 + updates / timescale).
    schedule: Literal["cosine", "constant", "rsqrt"] = "cosine"
    # Updates over which the learning rate rises from zero.
    warmup_steps: int = 50
    # Of the schedule "rsqrt", in updates.
    timescale: int = 10_000
    # Decay of Adam's first moment.
    beta1: float = 0.9
    # Decay of Adam's second moment.
    beta2: float = 0.999
    # Added to the root of Adam's second moment.
    epsilon: float = 1e-8
    # Large by default: the actions of a stochastic specialist are noisy, and are soon learned by heart.
    weight_decay: float = 0.3
    # Whether AdamW's decay falls on every weight instead of kernels alone.
    decay_all: bool = False
    # Precision in which the first moment is kept.
    moment: Literal["float32", "bfloat16"] = "float32"
    # Largest norm of a gradient; 0 for no limit.
    clip_gradient: float = 1.0
    # Of the moving average of the weights, which is what acts; 0 for none.
    ema_decay: float = 0.99

    # Precision of the transformer's activations; weights, head and loss are float32 in any case.
    compute: Literal["float32", "bfloat16"] = "float32"
    # Compute the activations of each block again on the way back instead of keeping them.
    checkpoint_blocks: bool = False

    # How pictures are brought to the model's size, in training and in acting.
    resize: Method = "linear"
    # Share of the area that a random crop keeps; wrist cameras are not cropped.
    crop_scale: tuple[float, float] = (1.0, 1.0)
    # Width over height of a random crop.
    crop_ratio: tuple[float, float] = (1.0, 1.0)
    # Largest random change of brightness, as a share of full scale.
    brightness: float = 0.1
    # Largest random change of contrast, relative.
    contrast: float = 0.1
    # Largest random change of saturation, relative.
    saturation: float = 0.1
    # Largest random turn of the hue, as a share of the colour circle.
    hue: float = 0.02

    # Share of the episodes that is held out, to measure the loss on.
    validation_share: float = 0.0
    # Train on failed episodes too: for data whose actions were relabelled with what would have been right.
    failures: bool = False
    # Weights of the data sets in the mixture, in their order; by default every step counts the same.
    weights: tuple[float, ...] = ()
    # Share of the samples that are told their task by a later picture of the episode instead of the instruction.
    goals: float = 0.0
    # GiB of decoded pictures to keep; those of larger sets are decoded when needed. None: a quarter of what is free.
    memory: float | None = None

    # Updates between checkpoints. All are kept, so that success can be plotted over training.
    checkpoint_every: int = 250
    # Updates between reports.
    log_every: int = 20

    # Devices over which weights and optimiser are cut up; the batch is spread over all devices in any case.
    fsdp: int = 1
    # Threads of XLA where it computes on CPUs; 0: one per core.
    cpu_threads: int = 1

    def __post_init__(self) -> None:
        counts = ("lora_rank", "steps", "batch_size", "accumulate", "checkpoint_every", "log_every", "fsdp")
        wrong = [f"{name} {getattr(self, name)}" for name in counts if getattr(self, name) < 1]
        if wrong:
            raise UsageError(f"These count from 1: {', '.join(wrong)}.")
        if not 0 <= self.validation_share < 1 or not 0 <= self.ema_decay < 1:
            raise UsageError("validation_share and ema_decay are shares: at least 0, below 1.")
        if self.batch_size % self.accumulate:
            raise UsageError(f"A batch of {self.batch_size} cannot be cut into {self.accumulate} equal parts.")


@dataclass(frozen=True)
class Recipe:
    """A complete training by name."""

    config: FinetuneConfig
    init: str | None = None  # checkpoint to start from, a folder or a hub id; None: random weights


RECIPES: dict[str, Recipe] = {
    # From scratch in about four minutes on one core: docs/finetune.md says how it was found.
    "octo-tiny": Recipe(FinetuneConfig()),
    # RLDG's released fine-tuning of Octo (scripts/diffusion_finetune.py of its authors' fork): every weight, the wrist
    # camera alone, one action, a new diffusion head, optax's own AdamW, no augmentation.
    "rldg": Recipe(
        FinetuneConfig(
            model="octo-base-1.5",
            changes=Changes(
                drop=("wrist",),
                head="diffusion",
                action_horizon=1,
                action_dim=7,
                window=1,
                cameras=(("primary", "wrist_1"),),
                sizes=(("primary", 224),),
            ),
            steps=50_000,
            batch_size=64,
            optimizer="adamw",
            learning_rate=3e-5,
            schedule="constant",
            warmup_steps=100,
            weight_decay=1e-4,
            decay_all=True,
            clip_gradient=0.0,
            ema_decay=0.0,
            resize="lanczos3",
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hue=0.0,
            checkpoint_every=10_000,
            log_every=100,
            cpu_threads=0,
        ),
        init="hf://rail-berkeley/octo-base-1.5",
    ),
    # The defaults of Octo's own scripts/configs/finetune_config.py, mode "full", conditioned on language.
    "octo": Recipe(
        FinetuneConfig(
            model="octo-small-1.5",
            changes=Changes(window=1),
            steps=50_000,
            batch_size=256,
            optimizer="adamw",
            learning_rate=3e-4,
            warmup_steps=2000,
            weight_decay=0.01,
            moment="bfloat16",
            ema_decay=0.0,
            resize="lanczos3",
            crop_scale=(0.8, 1.0),
            crop_ratio=(0.9, 1.1),
            brightness=0.1,
            contrast=0.1,
            saturation=0.1,
            hue=0.05,
            checkpoint_every=5000,
            log_every=100,
            cpu_threads=0,
        ),
        init="hf://rail-berkeley/octo-small-1.5",
    ),
}


def recipe(name: str) -> Recipe:
    """The named recipe; raises `UnknownNameError` with the valid names."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
