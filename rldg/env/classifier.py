"""`Classifier`: a reward classifier as it acts, with NumPy alone, so that no actor needs the framework that trained it.

One `logit` serves NumPy (acting) and JAX (`rldg.classifiers` learns it), so they cannot differ.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rldg import geometry
from rldg.errors import CheckpointError

WEIGHTS, DESCRIPTION = "classifier.npz", "classifier.json"
MEAN, DEVIATION = 127.5, 64.0  # of pixels, about
PATCHES = (4, 2, 2, 2)  # sides of each layer's patches: 128 px become 4 x 4 places

Weights = dict[str, Any]  # "<camera>.<layer>.<name>" of the encoders, "hidden.<name>", "last.<name>"
Window = tuple[int, int, int]  # first row, first column, side [px] of the part of a picture that is looked at


def logit(weights: Weights, images: Mapping[str, Any]) -> Any:
    """Logarithmic odds (...) of success, of pictures (..., H, W, 3) in 0 .. 255 from each camera.

    Each camera has an encoder: convolutions whose stride is their width, so that each is one matrix product, with layer
    norm over the channels and ReLU. What they see goes through one hidden layer.
    """
    seen = sum(_encoded(weights, camera, (images[camera] - MEAN) / DEVIATION) for camera in sorted(images))
    hidden = _rectified(seen + weights["hidden.bias"], weights, "hidden")
    return (hidden @ weights["last.weight"] + weights["last.bias"])[..., 0]


def _encoded(weights: Weights, camera: str, x: Any) -> Any:
    """A camera's part of the hidden layer's input."""
    for layer, side in enumerate(PATCHES):
        name = f"{camera}.{layer}"
        x = _rectified(patches(x, side) @ weights[f"{name}.weight"] + weights[f"{name}.bias"], weights, name)
    return x.reshape(*x.shape[:-3], -1) @ weights[f"{camera}.out.weight"]


def patches(x: Any, side: int) -> Any:
    """(..., H, W, C) cut into squares: (..., H / side, W / side, side x side x C)."""
    *leading, height, width, channels = x.shape
    x = x.reshape(*leading, height // side, side, width // side, side, channels)
    return x.swapaxes(-4, -3).reshape(*leading, height // side, width // side, side * side * channels)


def _rectified(x: Any, weights: Weights, name: str) -> Any:
    """Layer norm over the last axis, then ReLU."""
    centred = x - x.mean(-1, keepdims=True)
    x = centred * ((centred * centred).mean(-1, keepdims=True) + 1e-6) ** -0.5
    x = x * weights[f"{name}.gain"] + weights[f"{name}.offset"]
    return x * (x > 0)


def pose_vector(tcp_in_target: np.ndarray) -> np.ndarray:
    """A pose (7) as x y z [m] and rotation vector [rad], (6,) float64, as `Positives` bound it."""
    pose = tcp_in_target.astype(np.float64)
    return np.concatenate([pose[:3], geometry.rotation_vector(pose)])


@dataclass(frozen=True)
class Positives:
    """How the positives looked that a classifier was trained on, to know what is unlike them."""

    low: np.ndarray  # (6,) of the tool in the target frame: x y z [m], rotation vector [rad]
    high: np.ndarray  # (6,)
    score: float  # probability that nineteen of twenty held-out positives reach


@dataclass(frozen=True)
class Classifier:
    """Weights, and what they are for."""

    task: str  # name
    weights: Weights
    resolutions: dict[str, int]  # camera -> pixels, square
    positives: Positives
    weight_hash: str
    windows: dict[str, Window] = field(default_factory=dict)  # by camera; whole pictures of those that have none

    def looked_at(self, images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of pictures (..., H, W, 3), the parts (..., side, side, 3) that are looked at; other cameras are ignored."""
        seen = {}
        for camera, pixels in self.resolutions.items():
            row, column, side = self.windows.get(camera, (0, 0, pixels))
            seen[camera] = images[camera][..., row : row + side, column : column + side, :]
        return seen

    def probability(self, images: Mapping[str, np.ndarray]) -> float:
        """Of success, 0 .. 1, from one picture (H, W, 3) uint8 per camera."""
        seen = {camera: part.astype(np.float32) for camera, part in self.looked_at(images).items()}
        return float(1 / (1 + np.exp(-logit(self.weights, seen))))


def hash_of(weights: Mapping[str, np.ndarray]) -> str:
    """First 16 hex digits of the SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def load_classifier(folder: Path) -> Classifier:
    """The classifier that was trained in `folder`. Raises `CheckpointError` when there is none, or it is damaged."""
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        with np.load(io.BytesIO((folder / WEIGHTS).read_bytes()), allow_pickle=False) as file:
            weights = {name: file[name] for name in file.files}
        like = about["positives"]
        positives = Positives(np.array(like["low"]), np.array(like["high"]), float(like["score"]))
        task, resolutions, expected = str(about["task"]), dict(about["cameras"]), str(about["weight_hash"])
        windows = {camera: _window(window, resolutions[camera]) for camera, window in about.get("windows", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{folder} holds no reward classifier: {type(error).__name__}: {error}. "
            f"`rldg classifier train --data DIR --out {folder}` makes one."
        ) from None
    if hash_of(weights) != expected:
        raise CheckpointError(f"{folder / WEIGHTS} does not hold the weights that {DESCRIPTION} describes.")
    return Classifier(task, weights, resolutions, positives, expected, windows)


def _window(values: list[int], pixels: int) -> Window:
    """A window from a file. Raises `ValueError` if it does not lie within pictures of so many pixels."""
    row, column, side = map(int, values)
    if min(row, column) < 0 or side < 1 or max(row, column) + side > pixels:
        raise ValueError(f"the window {values} lies outside pictures of {pixels} px")
    return row, column, side
