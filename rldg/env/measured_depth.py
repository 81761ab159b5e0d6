"""`MeasuredDepthJudge`: insertion depth where no simulator tells it."""

import numpy as np

from rldg import geometry
from rldg.env.types import Observation
from rldg.robots.base import Contact
from rldg.tasks.geometry.base import Geometry
from rldg.tasks.task import InsertionDepth

CALIBRATION = 0.001  # metres by which a station's target pose may be wrong sideways


class MeasuredDepthJudge:
    """The plug is where the tool's measured pose says: at depth within the outline of a socket that is at the target.

    For a plug that the hand holds from the beginning; it must not slip, and the station's target pose must be right.
    """

    def __init__(self, criterion: InsertionDepth, shape: Geometry):
        self._depth, self._hold = criterion.fraction * shape.full_depth, criterion.hold_steps
        self._shape = shape
        self._held = 0

    def reset(self) -> None:
        """Begins an episode."""
        self._held = 0

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """True once the depth has been held for the asked number of consecutive steps."""
        tool = observation["privileged"]["tcp_in_target"].astype(np.float64)
        tip = geometry.relative(self._shape.fixture_in_target, geometry.compose(tool, self._shape.tip))
        deep_enough = self._shape.depth_of(tip, self._shape.fit + CALIBRATION) >= self._depth
        self._held = self._held + 1 if deep_enough else 0
        return self._held >= self._hold
