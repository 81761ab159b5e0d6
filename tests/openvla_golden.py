"""The files that the original OpenVLA wrote, as the tests read them, and small checkpoints of ours."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rldg.env.types import ActionContract
from rldg.generalists.openvla.checkpoint import Checkpoint, Extension, load_checkpoint, save_checkpoint
from rldg.generalists.openvla.config import OpenVLAConfig, model_config
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.original_config import model_from_original
from rldg.generalists.openvla.processor import Processor

HERE = Path(__file__).parent / "golden" / "openvla"  # what every clone has: no language model, one picture
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "openvla"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the whole of the golden files is not here")
ROOT = SHARED if SHARED.exists() else HERE
SAMPLES = range(3) if SHARED.exists() else range(1)

STATISTICS = {
    "some_set": {
        "action": {
            "q01": [-0.01] * 3 + [-0.1] * 3 + [0.0],
            "q99": [0.01] * 3 + [0.1] * 3 + [1.0],
            "mask": [True] * 6 + [False],
        }
    }
}


def arrays(*path: str) -> dict[str, np.ndarray]:
    """One npz file."""
    with np.load(ROOT.joinpath(*path)) as content:
        return dict(content)


def read(*path: str) -> Any:
    """One JSON file."""
    return json.loads(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def picture(name: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    with Image.open(ROOT / "images" / name) as image:
        return np.asarray(image)


def config() -> OpenVLAConfig:
    """Of the golden model."""
    return model_from_original(read("model", "config.json"))


def whole() -> Checkpoint:
    """The golden checkpoint, in float32 as its outputs were computed."""
    return load_checkpoint(SHARED / "model", dtype=torch.float32)


def batch() -> dict[str, torch.Tensor]:
    """The teacher-forced batch of `forward.npz`."""
    forward, pixels = arrays("forward.npz"), arrays("processor.npz")
    found = {name: torch.from_numpy(forward[name]) for name in ("input_ids", "attention_mask", "labels")}
    return found | {"pixel_values": torch.from_numpy(np.concatenate([pixels[f"pixel_values_{i}"] for i in SAMPLES]))}


def write(folder: Path, model: OpenVLAConfig | None = None, seed: int = 0, **options: Any) -> dict[str, torch.Tensor]:
    """Writes a checkpoint of ours with random weights and returns these."""
    model = model or model_config("openvla-debug")
    torch.manual_seed(seed)
    state = OpenVLA(model).state_dict()
    contract = ActionContract(0.01, 0.1, 10.0, "fixed")
    extension = options.pop("extension", Extension(action_contract=contract, image_sizes={"wrist_1": 48}, step=7))
    save_checkpoint(folder, state, Processor(model), STATISTICS, extension=extension, **options)
    return state
