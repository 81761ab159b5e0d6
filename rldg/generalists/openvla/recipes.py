"""How an OpenVLA is trained: what of it, by which rule, on what pictures. Recipes by name."""

from dataclasses import dataclass
from typing import Literal

from rldg.data.resize import Method
from rldg.errors import UnknownNameError, UsageError


@dataclass(frozen=True)
class FinetuneConfig:
    """How a model is trained on a data set. The defaults are tuned for `openvla-tiny` on 45 insertion episodes."""

    # Architecture to start from at random; a checkpoint's own takes its place (--init).
    model: str = "openvla-tiny"
    # How an action is read: token by token, or at once by a small head (an extension of ours after OpenVLA-OFT, for the
    # mode "full"); by default as --init does it.
    decoding: Literal["tokens", "parallel"] | None = None
    # What is trained: everything, adapters on linear layers (--init is needed), or adapters on a model in 4 bits.
    mode: Literal["full", "lora", "qlora"] = "full"
    # Rank of the adapters.
    lora_rank: int = 32
    # The adapters' product is scaled by this over the rank.
    lora_alpha: float = 16.0
    # Share of an adapter's inputs that is dropped at random.
    lora_dropout: float = 0.0
    # Names of the layers that get adapters, such as q_proj; by default all linear ones (and the patch embedding).
    lora_layers: tuple[str, ...] = ()

    # Updates of the optimiser.
    steps: int = 500
    # Samples per update, over all processes and parts.
    batch_size: int = 32
    # Parts into which a batch is cut, one after the other, to save memory; the update is the same.
    accumulate: int = 1

    # Muon for matrices and AdamW for the rest, or AdamW for all.
    optimizer: Literal["muon", "adamw"] = "muon"
    # After the warm-up, of AdamW.
    learning_rate: float = 3e-3
    # Learning rate of Muon's matrices over `learning_rate`.
    matrix_rate: float = 10.0
    # After the warm-up: the same for ever, or to zero along a cosine.
    schedule: Literal["constant", "cosine"] = "cosine"
    # Updates over which the learning rate rises from zero.
    warmup_steps: int = 30
    # Decay of AdamW's first moment.
    beta1: float = 0.9
    # Decay of AdamW's second moment.
    beta2: float = 0.999
    # Added to the root of AdamW's second moment.
    epsilon: float = 1e-8
    # On everything that is trained.
    weight_decay: float = 0.1
    # Largest norm of a gradient; 0 for no limit.
    clip_gradient: float = 1.0

    # Deviation, in bins, of the target's distribution over the bins of an action; 0: the one bin, as OpenVLA's.
    target_spread: float = 8.0

    # Precision of frozen weights and of the products in between; what is trained, its moments and the loss are float32.
    compute: Literal["float32", "bfloat16"] = "float32"
    # Compute the activations of each block again on the way back instead of keeping them.
    checkpoint_blocks: bool = False
    # Compile the model with torch.compile: slow to begin, faster after.
    compile: bool = False

    # Camera whose picture the model sees.
    camera: str = "wrist_1"
    # How pictures are brought to the model's size, in training and in acting.
    resize: Method = "lanczos3"
    # Share of the area that a random crop keeps.
    crop_scale: tuple[float, float] = (1.0, 1.0)
    # Largest random change of brightness, as a share of full scale.
    brightness: float = 0.1
    # Largest random change of contrast, relative.
    contrast: float = 0.1
    # Largest random change of saturation, relative.
    saturation: float = 0.1
    # Largest random turn of the hue, as a share of the colour circle.
    hue: float = 0.02

    # Share of the episodes that is held out, to measure loss and errors on.
    validation_share: float = 0.0
    # Train on failed episodes too: for data whose actions were relabelled with what would have been right.
    failures: bool = False
    # Weights of the data sets in the mixture, in their order; by default every step counts the same.
    weights: tuple[float, ...] = ()
    # GiB of decoded pictures to keep in memory; those of larger sets are decoded whenever they are needed.
    memory: float = 2.0

    # Updates between checkpoints. All are kept, so that success can be plotted over training.
    checkpoint_every: int = 100
    # Updates between reports.
    log_every: int = 20

    # Threads of PyTorch where it computes on CPUs; 0: its own choice.
    cpu_threads: int = 1

    def __post_init__(self) -> None:
        counts = ("lora_rank", "steps", "batch_size", "accumulate", "checkpoint_every", "log_every")
        wrong = [f"{name} {getattr(self, name)}" for name in counts if getattr(self, name) < 1]
        if wrong:
            raise UsageError(f"These count from 1: {', '.join(wrong)}.")
        if not 0 <= self.validation_share < 1 or not 0 <= self.lora_dropout < 1:
            raise UsageError("validation_share and lora_dropout are shares: at least 0, below 1.")
        if self.decoding == "parallel" and self.mode != "full":
            raise UsageError("The head that reads actions at once is trained with --mode full only.")
        if self.batch_size % self.accumulate:
            raise UsageError(f"A batch of {self.batch_size} cannot be cut into {self.accumulate} equal parts.")


@dataclass(frozen=True)
class Recipe:
    """A complete training by name."""

    config: FinetuneConfig
    init: str | None = None  # checkpoint to start from, a folder or a hub id; None: random weights


RECIPES: dict[str, Recipe] = {
    # From scratch in a few minutes on one core: docs/openvla_finetune.md says how it was found.
    "openvla-tiny": Recipe(FinetuneConfig()),
    # RLDG's released fine-tuning of OpenVLA (vla-scripts/finetune.py of its authors' fork): LoRA on all linear layers,
    # the wrist camera alone, micro-batches of 2 x 3, constant AdamW with PyTorch's own defaults. Its steps were
    # micro-batches: the released step-25000 is update 8,333 here, and the configured 50,000 are 16,666.
    "rldg": Recipe(
        FinetuneConfig(
            model="openvla-7b",
            mode="lora",
            steps=16_666,
            batch_size=6,
            accumulate=3,
            optimizer="adamw",
            learning_rate=2e-5,
            schedule="constant",
            warmup_steps=0,
            weight_decay=0.01,
            clip_gradient=0.0,
            target_spread=0.0,
            compute="bfloat16",
            crop_scale=(0.9, 0.9),
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue=0.05,
            checkpoint_every=8_333,
            log_every=10,
            cpu_threads=0,
        ),
        init="hf://openvla/openvla-7b",
    ),
}


def recipe(name: str) -> Recipe:
    """The named recipe; raises `UnknownNameError` with the valid names."""
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
