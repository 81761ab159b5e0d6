"""OpenVLA: image patches between the first token and the rest of the prompt, read by a Llama."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from rldg.generalists.openvla.config import ACTION_DIMENSIONS, IGNORED, PAD, LlamaSizes, OpenVLAConfig
from rldg.generalists.openvla.vision import Projector, VisionBackbone


@dataclass
class Output:
    """Of a forward pass: logits over the multimodal sequence, the loss if there were labels."""

    logits: Tensor
    loss: Tensor | None = None


class OpenVLA(nn.Module):
    """The whole model, with random weights. Parameters carry the original's names.

    Under `torch.device("meta")` it takes no memory.
    """

    def __init__(self, config: OpenVLAConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_backbone = VisionBackbone(config.towers, config.image_size)
        self.projector = Projector(config.towers, config.llama.hidden_size)
        self.language_model = LlamaForCausalLM(llama_config(config.llama))

    def forward(self, input_ids, attention_mask=None, pixel_values=None, labels=None) -> Output:
        raise NotImplementedError

    def generate_actions(self, input_ids, attention_mask, pixel_values) -> Tensor:
        raise NotImplementedError


def llama_config(sizes: LlamaSizes) -> LlamaConfig:
    raise NotImplementedError
