"""From instructions and pictures to what the model takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rldg.generalists.openvla.action_tokenizer import ActionTokenizer
from rldg.generalists.openvla.config import BOS, EOS, IGNORED, PAD, SPACE, OpenVLAConfig
from rldg.generalists.openvla.images import ImageProcessor
from rldg.generalists.openvla.text import prompt, read_tokenizer


class Processor:
    """Tokenizer, picture processor and action tokenizer of a checkpoint, as the original's `PrismaticProcessor`.

    Args:
        config: of the model.
        folder: of its checkpoint; None for a new model, which gets a small tokenizer that needs no files.

    Raises:
        CheckpointError: a file is missing, damaged, or does not fit the model.
    """

    def __init__(self, config: OpenVLAConfig, folder: Path | None = None) -> None:
        self.config = config
        self.encode, self.tokenizer_files = read_tokenizer(folder)
        self.images = ImageProcessor.of(config) if folder is None else ImageProcessor.read(folder)
        self.images.check(config)
        self.actions = ActionTokenizer(config)

    def inference_prompt(self, instruction: str) -> str:
        """What the model is asked about an instruction; upper case is lost, as in the original."""
        return prompt(self.config.prompt, instruction)

    def __call__(self, prompts: str | Sequence[str], images: Any) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` (B, T), padded at the right, and `pixel_values` (B, 3 per tower, H, W).

        `images` is a picture, (H, W, 3) uint8 RGB or Pillow's, or a sequence of them.
        """
        texts = [prompts] if isinstance(prompts, str) else prompts
        pictures = [images] if isinstance(prompts, str) and not isinstance(images, Sequence) else images
        return _padded([[BOS, *self.encode(text)] for text in texts]) | {"pixel_values": self.images(pictures)}

    def training_ids(self, instruction: str, action: np.ndarray) -> tuple[list[int], list[int]]:
        """Ids of a prompt that is answered by `action` (7,) in [-1, 1], and labels: only the answer is to be learnt."""
        question = [BOS, *self.encode(self.inference_prompt(instruction)), SPACE]
        answer = [*self.actions.encode(action).tolist(), EOS]
        return question + answer, [IGNORED] * len(question) + answer

    def training_batch(self, instructions: Sequence[str], actions: np.ndarray) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask` and `labels` (B, T) of actions (B, 7) in [-1, 1], padded at the right."""
        pairs = [self.training_ids(text, action) for text, action in zip(instructions, actions, strict=True)]
        ids, labels = zip(*pairs, strict=True)
        return _padded(ids) | {"labels": _stacked(labels, IGNORED)}


def _padded(rows: Sequence[list[int]]) -> dict[str, Tensor]:
    return {"input_ids": _stacked(rows, PAD), "attention_mask": _stacked([[1] * len(row) for row in rows], 0)}


def _stacked(rows: Sequence[list[int]], padding: int) -> Tensor:
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=padding)
