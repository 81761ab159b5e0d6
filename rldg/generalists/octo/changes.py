"""What a fine-tuning changes of the model that it starts from, in words that fit a command line."""

from dataclasses import dataclass
from typing import Literal

from rldg.generalists.octo.config import (
    ContinuousConfig,
    DiffusionConfig,
    DiscreteConfig,
    HeadConfig,
    LowdimConfig,
    TokenLearnerConfig,
)
from rldg.generalists.octo.surgery import Surgery

HEADS: dict[str, HeadConfig] = {
    "diffusion": DiffusionConfig(),
    "l1": ContinuousConfig(loss="l1"),
    "mse": ContinuousConfig(loss="mse"),
    "discrete": DiscreteConfig(),
    "token_learner": TokenLearnerConfig(),
}


@dataclass(frozen=True)
class Changes:
    """Changes of architecture; `None` and empty leave it as it is. Slots are called primary, wrist, ..."""

    # Slots of cameras that the new data does not fill, such as wrist.
    drop: tuple[str, ...] = ()
    # A new action head, from random weights.
    head: Literal["diffusion", "l1", "mse", "discrete", "token_learner"] | None = None
    # Actions per chunk.
    action_horizon: int | None = None
    # Numbers per action.
    action_dim: int | None = None
    # Time steps that the policy sees.
    window: int | None = None
    # Slot and the data's camera that feeds it, such as primary wrist_1.
    cameras: tuple[tuple[str, str], ...] = ()
    # Slot and the pixels of its square pictures, such as primary 224.
    sizes: tuple[tuple[str, int], ...] = ()
    # Let the model read the robot's state as well.
    proprio: bool = False

    @property
    def surgery(self) -> Surgery:
        """The same for `Surgery.apply`."""
        return Surgery(
            drop=self.drop,
            head=HEADS[self.head] if self.head else None,
            action_horizon=self.action_horizon,
            action_dim=self.action_dim,
            window=self.window,
            cameras=dict(self.cameras),
            sizes=dict(self.sizes),
            lowdim=(LowdimConfig("proprio"),) if self.proprio else (),
        )

    @property
    def anew(self) -> tuple[str, ...]:
        """Patterns of weights that start at random though the checkpoint has some that fit."""
        return ("heads_action/*",) if self.head else ()
