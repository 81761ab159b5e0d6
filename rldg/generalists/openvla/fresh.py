"""How a model begins that is trained from nothing. Published sizes are never; they begin from a checkpoint."""

import math

import torch
from torch import Tensor, nn

from rldg.generalists.openvla.model import OpenVLA


@torch.no_grad()
def begin_from_scratch(model: OpenVLA) -> None:
    """Gives a randomly drawn model what the published ones learned from millions of pictures.

    Positions of patches are 2-d sines, of which attention makes places from the first update on; layer scales are 1,
    since 1e-5 leaves a shallow tower without its blocks; tokens of neighbouring bins begin as neighbours.
    """
    for tower in model.vision_backbone.towers():
        position = tower.get_parameter("pos_embed")
        position.copy_(_sines(math.isqrt(position.shape[1]), position.shape[2]))
        for name, parameter in tower.named_parameters():
            if name.endswith("scale_factor"):
                parameter.fill_(1.0)
    config, language = model.config, model.language_model
    bins = slice(config.text_vocabulary - config.bins, config.text_vocabulary)
    for layer in (language.get_input_embeddings(), language.get_output_embeddings()):
        assert isinstance(layer, nn.Embedding | nn.Linear)
        width = layer.weight.shape[1]
        turn = torch.linalg.qr(torch.randn(width, width))[0]
        layer.weight[bins] = _curve(config.bins, width) @ turn


def _sines(side: int, width: int, height: float = 0.5) -> Tensor:
    """(side * side, width): half of the numbers tell the row, half the column."""
    place = torch.arange(side).float()
    waves = torch.exp(-math.log(100.0) * torch.arange(width // 4) / (width // 4)) * math.pi / 2
    angles = place[:, None] * waves
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = one.repeat_interleave(side, dim=0), one.repeat(side, 1)
    return height * torch.cat([rows, columns], dim=1)


def _curve(bins: int, width: int, deviation: float = 0.1) -> Tensor:
    """(bins, width): a smooth curve, slow waves the largest."""
    wave = torch.arange(1, width // 2 + 1)
    angles = torch.linspace(1, -1, bins)[:, None] * wave * math.pi / 4
    curve = torch.cat([angles.sin(), angles.cos()], dim=1) / wave.sqrt().repeat(2)
    return curve * deviation / curve.std()
