"""From the loader's batches to what a training reads: prompts answered by action tokens, pixels for the towers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rldg.data.loader import Loader, LoaderConfig, make_loader
from rldg.data.steps import StepSource
from rldg.data.transform import ImageTransform
from rldg.generalists.openvla.config import ACTION_DIMENSIONS, OpenVLAConfig
from rldg.generalists.openvla.decoding import before_action
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.recipes import FinetuneConfig

SLOT = "primary"  # the original's name of the one camera


def image_transform(model: OpenVLAConfig, config: FinetuneConfig) -> ImageTransform:
    """Brings pictures to the model's size; crops and changes of colour are those of `config`."""
    return ImageTransform(
        height=model.image_size,
        width=model.image_size,
        method=config.resize,
        crop_scale=config.crop_scale,
        brightness=config.brightness,
        contrast=(1 - config.contrast, 1 + config.contrast),
        saturation=(1 - config.saturation, 1 + config.saturation),
        hue=config.hue,
    )


def open_loader(
    sources: Sequence[StepSource],
    transform: ImageTransform,
    config: FinetuneConfig,
    seed: int,
    *,
    augment: bool,
    shard: int = 0,
    shards: int = 1,
) -> Loader:
    """This process's share of the batches: single observations with single actions.

    Raises `DatasetError` if the actions are wider than seven numbers.
    """
    return make_loader(
        sources,
        LoaderConfig(
            batch_size=config.batch_size // shards,
            images={SLOT: transform},
            seed=seed,
            weights=config.weights if augment and config.weights else None,
            action_dim=ACTION_DIMENSIONS,
            augment=augment,
            shard=shard,
            shards=shards,
            memory_limit=int(config.memory * 2**30),
        ),
    )


def collated(batch: dict[str, Any], processor: Processor) -> dict[str, Tensor]:
    """`input_ids`, `attention_mask` and `labels` (B, T), and `pixel_values` (B, 3 per tower, H, W).

    Sequences are padded at the right. Labels are `IGNORED` but at the action's seven tokens and the end behind them.
    For parallel decoding the prompt stands alone, and `actions` (B, 7) takes the place of labels.
    """
    instructions, actions = batch["task"]["language_instruction"].tolist(), batch["action"][:, 0, 0]
    pictures = batch["observation"][f"image_{SLOT}"][:, 0]
    if processor.config.decoding == "parallel":
        asked = processor([processor.inference_prompt(text) for text in instructions], pictures)
        ids, mask = before_action(asked["input_ids"], asked["attention_mask"])
        return asked | {"input_ids": ids, "attention_mask": mask, "actions": torch.from_numpy(actions)}
    return processor.training_batch(instructions, actions) | {"pixel_values": processor.images(pictures)}
