"""How a model is trained: budget, optimiser, augmentation."""

from dataclasses import dataclass


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
