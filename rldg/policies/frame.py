"""`FramePolicy`: a policy that can be asked about one frame, outside any episode."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from rldg.policies.base import PolicyMetadata


@runtime_checkable
class FramePolicy(Protocol):
    """What `rldg predict` asks. Generalists answer; policies that act on the state of an episode do not."""

    metadata: PolicyMetadata

    def predict(
        self,
        images: Mapping[str, np.ndarray],
        instruction: str,
        seed: int | None = None,
        *,
        goal: Mapping[str, np.ndarray] | None = None,
        proprio: np.ndarray | None = None,
    ) -> np.ndarray:
        """Actions float32 (chunk, 7) in the data set's units: metres, radians, gripper 0 closed .. 1 open.

        Args:
            images: camera -> (H, W, 3) uint8 RGB, of any size, for every camera in `metadata.image_sizes`.
            instruction: what to do.
            seed: draws a sample; None gives the greedy answer, the same every time.
            goal: images of what is to be reached, by camera, for policies that can be told so.
            proprio: the robot's state in the data set's units, for policies that read it.
        """
        ...
