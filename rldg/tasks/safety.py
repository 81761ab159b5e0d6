"""`Safety`: what the arm may do at one station, whoever commands it."""

import math

from pydantic import Field, model_validator

from rldg.tasks.box import Box
from rldg.tasks.model import FrozenModel

STEEPEST_PITCH = 1.5  # rad; roll and yaw mean nothing at a right angle


class Safety(FrozenModel):
    """Limits of a physical station, of the commanded pose where nothing else is said (docs/station.md)."""

    box: Box = Field(
        default=Box(low=(-0.25, -0.25, -0.25, -0.3, -0.3, -0.8), high=(0.25, 0.25, 0.04, 0.3, 0.3, 0.8)),
        description="where it may go, relative to the station's `target_pose`, in its frame",
    )
    speed: float = Field(default=0.6, gt=0, le=2, description="metres per second")
    turn_speed: float = Field(default=4.0, gt=0, le=10, description="radians per second")
    step: float = Field(default=0.05, gt=0, le=0.2, description="metres that it may be away from the measured pose")
    turn_step: float = Field(default=0.35, gt=0, le=1, description="radians that it may be away from the measured pose")
    jump: float = Field(default=0.15, gt=0, description="metres from the measured pose at which a command is refused")
    turn_jump: float = Field(default=0.8, gt=0, description="radians at which a command is refused")
    force: float = Field(default=50.0, gt=0, description="newtons on the tool at which the arm stops pushing")
    torque: float = Field(default=15.0, gt=0, description="newton metres on the tool at which the arm stops pushing")
    watchdog: float = Field(default=0.5, gt=0, le=10, description="seconds without a command after which the arm holds")
    stop_key: str = Field(default="esc", description="the operator's key, by its name in pynput; none if empty")
    dry_run: bool = Field(default=False, description="whether motions are logged instead of sent")

    @model_validator(mode="after")
    def _meaningful(self) -> "Safety":
        for bound in (*self.box.low[3:], *self.box.high[3:]):
            if abs(bound) > math.pi:
                raise ValueError(f"angles of the box lie within pi, got {bound}")
        if max(-self.box.low[4], self.box.high[4]) > STEEPEST_PITCH:
            raise ValueError(f"the box's pitch must stay within {STEEPEST_PITCH} rad")
        if self.jump < self.step or self.turn_jump < self.turn_step:
            raise ValueError("'jump' and 'turn_jump' must not be below 'step' and 'turn_step'")
        return self
