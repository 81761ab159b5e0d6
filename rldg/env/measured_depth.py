"""Insertion depth where no simulator tells it: from the measured pose of the tool, and the gripper."""

import numpy as np

from rldg import geometry
from rldg.env.placed import let_go
from rldg.env.types import Observation
from rldg.robots.base import Contact
from rldg.tasks.geometry.base import Geometry
from rldg.tasks.task import InsertionDepth

CALIBRATION = 0.001  # metres by which a station's target pose may be wrong sideways
EMPTY = 0.02  # opening of the gripper (0 closed .. 1 open) up to which it may have closed on nothing
STILL = 0.01  # change of the opening from step to step up to which the fingers rest on something


class MeasuredDepthJudge:
    """The plug is where the tool's measured pose says: at depth within the outline of a socket that is at the target.

    It must not slip in the hand, and the station's target pose must be right. Where the plug has to be grasped, the
    fingers have to rest on something meanwhile; where it has to be let go, they have to open there afterwards.

    Args:
        criterion: which depth, for how long, whether let go.
        shape: plug and socket.
        grasped: whether the plug has to be grasped, instead of being part of the hand from the beginning.
    """

    def __init__(self, criterion: InsertionDepth, shape: Geometry, grasped: bool):
        self._depth, self._hold = criterion.fraction * shape.full_depth, criterion.hold_steps
        self._released, self._grasped = criterion.released, grasped
        self._shape = shape
        self.reset()

    def reset(self) -> None:
        """Begins an episode."""
        self._held, self._opening, self._inserted = 0, np.inf, False

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """True once the plug has been held at depth for the asked number of consecutive steps, and let go if asked."""
        deep, holding = self._at_depth(observation), not self._grasped or self._holding(observation)
        self._held = self._held + 1 if deep and holding else 0
        self._inserted = deep and (self._inserted or self._held >= self._hold)
        return self._inserted and (not self._released or let_go(observation))

    def _at_depth(self, observation: Observation) -> bool:
        tool = observation["privileged"]["tcp_in_target"].astype(np.float64)
        tip = geometry.relative(self._shape.fixture_in_target, geometry.compose(tool, self._shape.tip))
        return self._shape.depth_of(tip, self._shape.fit + CALIBRATION) >= self._depth

    def _holding(self, observation: Observation) -> bool:
        opening, before = float(observation["state"]["gripper_pose"][0]), self._opening
        self._opening = opening
        return opening > EMPTY and not let_go(observation) and abs(opening - before) < STILL
