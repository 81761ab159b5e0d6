"""All numbers of an action from one forward pass (after OpenVLA-OFT, Kim et al. 2025): empty slots and their head."""

import torch
from torch import Tensor, nn

from rldg.generalists.openvla.config import ACTION_DIMENSIONS


def slot_mask(real: Tensor, slots: int) -> Tensor:
    """Which positions each one sees, (B, 1, S, S) bool: what is `real` (B, S) and before it, and slots each other.

    The slots are the last positions.
    """
    length = real.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    seen[-slots:, -slots:] = True
    return (seen & real[:, None, :])[:, None]


class ActionHead(nn.Module):
    """From the last hidden states of the slots to an action; trained by mean absolute error."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(ACTION_DIMENSIONS * width)
        self.fc1 = nn.Linear(ACTION_DIMENSIONS * width, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, ACTION_DIMENSIONS)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, 7, D) to (B, 7) float32 in about [-1, 1]."""
        x = self.fc1(self.norm(hidden.flatten(1))).relu()
        return self.fc3(self.fc2(x).relu()).float()
