"""The vision towers: timm's DINOv2 (with registers) and SigLIP transformers, under timm's parameter names.

timm itself needs torchvision, which is not to be had everywhere that PyTorch is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from rldg.generalists.openvla.config import TowerConfig

EPSILON = 1e-6  # of every layer norm


class Attention(nn.Module):
    """Self-attention over (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers with the exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel. The original renamed timm's `gamma`, which transformers took for a layer norm's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return x * self.scale_factor


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.attn = Attention(width, config.heads)
        self.ls1 = LayerScale(width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, int(width * config.mlp_ratio))
        self.ls2 = LayerScale(width) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """One linear map per patch."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, patches, D), row by row."""
        return self.proj(pixels).flatten(2).transpose(1, 2)


class AttentionPool(nn.Module):
    """SigLIP's pooling. OpenVLA never calls it; its weights are in every checkpoint."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.latent = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, int(width * config.mlp_ratio))


class Tower(nn.Module):
    """A vision transformer up to its last block but one; the rest is there for its weights' sake."""

    def __init__(self, config: TowerConfig, image_size: int) -> None:
        super().__init__()
        width, patches = config.width, (image_size // config.patch) ** 2
        self.prefix = config.prefix
        self.checkpointing = False
        if config.class_token:
            self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 1e-6)
        if config.registers:
            self.reg_token = nn.Parameter(torch.randn(1, config.registers, width) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, patches, width) * 0.02)
        self.patch_embed = PatchEmbed(width, config.patch)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(width, EPSILON)
        if config.attention_pool:
            self.attn_pool = AttentionPool(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W) to features (B, patches, D)."""
        x = self.patch_embed(pixels) + self.pos_embed
        prefix = [getattr(self, name) for name in ("cls_token", "reg_token") if hasattr(self, name)]
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in prefix), x], dim=1)
        for block in list(self.blocks)[:-1]:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x[:, self.prefix :]


class VisionBackbone(nn.Module):
    """One tower, or two side by side: DINOv2's channels first."""

    def __init__(self, towers: tuple[TowerConfig, ...], image_size: int) -> None:
        super().__init__()
        self.featurizer = Tower(towers[0], image_size)
        if len(towers) == 2:
            self.fused_featurizer = Tower(towers[1], image_size)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3 or 6, H, W), three channels per tower and normalised for it, to (B, patches, D)."""
        parts = pixels.split(3, dim=1)
        return torch.cat([tower(part) for tower, part in zip(self.towers(), parts, strict=True)], dim=2)

    def towers(self) -> list[Tower]:
        """In the order of their channels."""
        return [tower for tower in self.children() if isinstance(tower, Tower)]


class Projector(nn.Module):
    """From patch features to embeddings of the language model; three layers after two towers, two after one."""

    def __init__(self, towers: tuple[TowerConfig, ...], width: int) -> None:
        super().__init__()
        features = sum(tower.width for tower in towers)
        if len(towers) == 1:
            self.fc1 = nn.Linear(features, width)
            self.fc2 = nn.Linear(width, width)
        else:
            self.fc1 = nn.Linear(features, 4 * features)
            self.fc2 = nn.Linear(4 * features, width)
            self.fc3 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, patches, features) to (B, patches, D)."""
        first, *rest = self.children()
        x = first(x)
        for layer in rest:
            x = layer(F.gelu(x))
        return x
