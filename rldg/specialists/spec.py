"""`AgentSpec`: what an agent sees and does. With its weights, it is all that acting needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rldg.errors import UsageError
from rldg.specialists.arrays import Arrays
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.features import PROPRIOCEPTION, dimension, features, proprioception
from rldg.tasks.task import Task

FEATURES, PROPRIO, IMAGE = "features", "proprio", "image."


@dataclass(frozen=True)
class AgentSpec:
    """Which parts of an observation reach the networks, and what the agent decides.

    A part is `features` (exact poses, see `rldg.specialists.features`), `proprio`, or `image.CAMERA`. The actor sees
    features, or proprioception and pictures. So do the critics, but with `asymmetric` they see features instead.
    """

    actions: int  # numbers of a twist
    observe_force: bool = False
    grasps: bool = False  # whether it closes and opens the gripper
    encoder: str = "none"
    cameras: tuple[tuple[str, int], ...] = ()  # name and pixels of the pictures that the environment gives
    image_size: int = 0  # pixels of the pictures that the networks take
    asymmetric: bool = False
    cached: bool = False  # whether pictures are kept as what the frozen encoder makes of them

    @classmethod
    def of(cls, config: SpecialistConfig, task: Task) -> "AgentSpec":
        """What `config` makes of `task`. Raises `UsageError` for cameras and sizes that the task has not."""
        grasps = task.gripper == "binary"
        if config.encoder == "none":
            return cls(6, config.observe_force, grasps)
        names = config.cameras or tuple(task.cameras)
        if unknown := [name for name in names if name not in task.cameras] or not names:
            raise UsageError(f"'{task.name}' has cameras {sorted(task.cameras)}, the training asks for {unknown}.")
        cameras = tuple((name, task.cameras[name].resolution) for name in names)
        if unfit := [(name, pixels) for name, pixels in cameras if pixels % config.image_size]:
            raise UsageError(f"An image_size of {config.image_size} px does not divide that of the cameras, {unfit}.")
        from rldg.specialists.encoders import make_encoder

        cached = bool(make_encoder(config.encoder).frozen) and not config.augment
        return cls(
            6, config.observe_force, grasps, config.encoder, cameras, config.image_size, config.asymmetric, cached
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "AgentSpec":
        """Inverse of `dataclasses.asdict`, after a round through JSON."""
        return cls(**{**content, "cameras": tuple((name, pixels) for name, pixels in content["cameras"])})

    @property
    def image_parts(self) -> tuple[str, ...]:
        """The parts that are pictures, one for each camera."""
        return tuple(IMAGE + name for name, _ in self.cameras)

    @property
    def features_size(self) -> int:
        """Length of the part `features`."""
        return dimension(self.observe_force, self.grasps)

    def observe(self, observation: Mapping[str, Arrays], acting: bool = False) -> Arrays:
        """The named parts, of one observation or of an episode's stacked ones; of `acting`, those the actor sees."""
        state, parts = observation["state"], {}
        if not self.cameras or (self.asymmetric and not acting):
            parts[FEATURES] = features(state, observation["privileged"], self.observe_force, self.grasps)
        if self.cameras:
            parts[PROPRIO] = proprioception(state)
            pictures = {name: observation["images"][name] for name, _ in self.cameras}
            parts |= {IMAGE + name: shrunk(picture, self.image_size) for name, picture in pictures.items()}
        return parts

    def parts(self) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
        """Shape and type of each part of one observation, as it is stored."""
        seen: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {}
        if not self.cameras or self.asymmetric:
            seen[FEATURES] = (self.features_size,), np.float32
        if self.cameras:
            from rldg.specialists.encoders import make_encoder

            seen[PROPRIO] = (PROPRIOCEPTION,), np.float32
            picture = (self.image_size, self.image_size, 3), np.uint8
            maps = make_encoder(self.encoder).maps_shape(self.image_size), np.float16
            seen |= dict.fromkeys(self.image_parts, maps if self.cached else picture)
        return seen


def shrunk(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures uint8 (..., H, H, 3) brought to (..., size, size, 3) by the mean over squares; `size` divides H."""
    *leading, height, width, channels = pictures.shape
    if height == size:
        return pictures
    squares = pictures.reshape(*leading, size, height // size, size, width // size, channels)
    return np.rint(squares.mean(axis=(-4, -2), dtype=np.float32)).astype(np.uint8)
