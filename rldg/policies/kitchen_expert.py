"""Scripts of ours for Franka Kitchen, which has none: waypoints relative to the handle, wherever it is by then."""

import numpy as np

from rldg import geometry
from rldg.env.types import ActionContract, Observation
from rldg.tasks.world import WorldTask

# The tool's frame: z to the kitchen, x up, the fingers side by side.
FORWARD = np.array([0.0, 0.0, 0.0, -0.5, -0.5, -0.5, 0.5])
GAIN = 0.7  # commanded over remaining motion
NEAR = 0.015  # m from a waypoint at which it goes on to the next


SHUT = 0.0
MOST = 30  # steps after which it goes on in any case

# By fixture: where the tool goes, fingers closed, relative to the handle in the world's axes [m].
KNOB = ((-0.07, -0.12, 0.04), (-0.05, -0.03, 0.04), (0.08, -0.03, 0.02))
WAYPOINTS = {
    "slide cabinet": ((-0.09, -0.14, 0), (-0.07, -0.03, 0), (0.10, -0.03, 0)),
    "light switch": ((0.09, -0.12, 0), (0.06, -0.03, 0), (-0.10, -0.02, 0)),
    "bottom burner": KNOB,
    "top burner": KNOB,
}


class KitchenExpert:
    """Goes from waypoint to waypoint; the last one is ahead of the handle, which is thereby dragged or pushed along.

    Who gets there has lost the handle, and begins again.
    """

    def __init__(self, task: WorldTask):
        self._contract = ActionContract.of(task)
        self._waypoints = WAYPOINTS[task.world.env]
        self._at, self._since = 0, 0

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (7) towards the waypoint."""
        known = observation["privileged"]["world"].astype(np.float64)
        tool, handle = known[:7], known[7:10]
        self._since += 1
        if np.linalg.norm(handle + self._waypoints[self._at] - tool[:3]) < NEAR or self._since > MOST:
            self._at, self._since = (self._at + 1) % len(self._waypoints), 0
        way = handle + self._waypoints[self._at] - tool[:3]
        turn = geometry.rotation_vector(geometry.compose(FORWARD, geometry.invert(np.append(np.zeros(3), tool[3:]))))
        twist = GAIN * geometry.unrotate_twist(tool, np.concatenate([way, turn]))
        scale = self._contract.scale
        twist[:3] /= max(1.0, np.abs(twist[:3] / scale[:3]).max())  # slower, not in another direction
        return self._contract.to_normalized(np.append(twist, SHUT))
