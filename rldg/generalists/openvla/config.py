"""What an OpenVLA is made of: every choice that decides its weights and its forward pass, and the named sizes."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field
from pydantic.dataclasses import dataclass

from rldg.errors import UnknownNameError

_STRICT = pydantic.ConfigDict(extra="forbid")

# A damaged file must not make us build a model without end.
Width = Annotated[int, Field(gt=0, le=2**20)]
Depth = Annotated[int, Field(gt=0, le=512)]

ACTION_DIMENSIONS = 7
BOS, EOS, SPACE, PAD = 1, 2, 29871, 32000  # Llama-2's ids; a lone space stands between "Out:" and an action
IGNORED = -100  # the label of positions that do not count in the loss


def _divides(number: int, whole: int, name: str) -> None:
    if whole % number:
        raise ValueError(f"the {name}, {whole}, is no multiple of {number}")


@dataclass(frozen=True, config=_STRICT)
class TowerConfig:
    """A vision transformer of timm's; its features are the output of the last block but one."""

    name: str  # timm's, which the original's config.json gives
    width: Width
    depth: Depth
    heads: Width
    mlp_ratio: Annotated[float, Field(gt=0, le=100)] = 4.0
    patch: Width = 14  # pixels
    layer_scale: bool = False
    class_token: bool = False
    registers: Annotated[int, Field(ge=0, le=1024)] = 0
    attention_pool: bool = False  # unused, but its weights are in the original's files

    def __post_init__(self) -> None:
        _divides(self.heads, self.width, "width of the vision tower")

    @property
    def prefix(self) -> int:
        """Tokens before the patches, which have no position and are no features."""
        return self.registers + self.class_token


@dataclass(frozen=True, config=_STRICT)
class LlamaSizes:
    """The language model; the defaults are those of Llama 2 7B, which the original's config.json leaves out."""

    hidden_size: Width = 4096
    intermediate_size: Width = 11008
    num_hidden_layers: Depth = 32
    num_attention_heads: Width = 32
    num_key_value_heads: Width = 32
    vocab_size: Annotated[int, Field(gt=PAD, le=2**20)] = 32064
    max_position_embeddings: Width = 2048
    rms_norm_eps: Annotated[float, Field(gt=0)] = 1e-6
    rope_theta: Annotated[float, Field(gt=0)] = 10000.0

    def __post_init__(self) -> None:
        _divides(2 * self.num_attention_heads, self.hidden_size, "hidden size")
        _divides(self.num_key_value_heads, self.num_attention_heads, "number of heads")


@dataclass(frozen=True, config=_STRICT)
class OpenVLAConfig:
    """One or two vision towers, a projector, a Llama, and the bins of an action.

    `decoding` "parallel" is an extension of ours after OpenVLA-OFT (Kim et al. 2025): seven empty slots that see each
    other follow the prompt, and a small head reads the action from all of them in one forward pass.
    """

    towers: Annotated[tuple[TowerConfig, ...], Field(min_length=1, max_length=2)]
    llama: LlamaSizes = LlamaSizes()
    image_size: Width = 224  # pixels, square
    resize: Literal["resize-naive", "resize-crop", "letterbox"] = "resize-naive"
    bins: Annotated[int, Field(ge=2, le=2**14)] = 256
    reserved: Annotated[int, Field(ge=0, le=2**14)] = (
        64  # ids at the end of the vocabulary that are no text; the bins are the ids before them
    )
    prompt: Literal["openvla", "vicuna"] = "openvla"  # "vicuna": that of openvla-v01
    decoding: Literal["tokens", "parallel"] = "tokens"

    def __post_init__(self) -> None:
        if len({self.image_size // tower.patch for tower in self.towers} - {0}) != 1:
            raise ValueError("the vision towers must see equally many patches, one at least")

    @property
    def text_vocabulary(self) -> int:
        """Ids that the tokenizer knows: the last `bins` of them stand for numbers of an action."""
        return self.llama.vocab_size - self.reserved

    @property
    def patches(self) -> int:
        """Patches of an image, each a token of the language model."""
        return (self.image_size // self.towers[0].patch) ** 2


DINOV2 = TowerConfig(
    "vit_large_patch14_reg4_dinov2.lvd142m",
    width=1024,
    depth=24,
    heads=16,
    layer_scale=True,
    class_token=True,
    registers=4,
)
SIGLIP = TowerConfig(
    "vit_so400m_patch14_siglip_224", width=1152, depth=27, heads=16, mlp_ratio=3.7362, attention_pool=True
)

SIZES: dict[str, OpenVLAConfig] = {
    "openvla-7b": OpenVLAConfig(towers=(DINOV2, SIGLIP)),
    # Trains from scratch on two cores. One block per tower is used: position by position, as octo-tiny looks.
    "openvla-tiny": OpenVLAConfig(
        towers=(
            TowerConfig("vit_tiny_patch8_reg4_dinov2", 64, 2, 4, patch=8, class_token=True, registers=4),
            TowerConfig("vit_tiny_patch8_siglip_64", 64, 2, 4, patch=8, attention_pool=True),
        ),
        llama=LlamaSizes(64, 172, 2, 4, 4, max_position_embeddings=512),
        image_size=64,
    ),
    # Learns nothing worth having, within seconds: for tests.
    "openvla-debug": OpenVLAConfig(
        towers=(
            TowerConfig(
                "vit_debug_patch8_reg4_dinov2", 16, 2, 2, patch=8, layer_scale=True, class_token=True, registers=4
            ),
            TowerConfig("vit_debug_patch8_siglip_32", 16, 2, 2, patch=8, attention_pool=True),
        ),
        llama=LlamaSizes(16, 32, 1, 2, 2, max_position_embeddings=256),
        image_size=32,
    ),
}


def model_config(name: str) -> OpenVLAConfig:
    """The named configuration; raises `UnknownNameError` with the valid names."""
    if name not in SIZES:
        raise UnknownNameError("OpenVLA model", name, SIZES)
    return SIZES[name]
