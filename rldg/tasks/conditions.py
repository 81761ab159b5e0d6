"""Conditions on what a robot measures, as a task file writes them: `z: {at_least: -0.001}`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rldg.tasks.model import FrozenModel

# What can be bounded. Of the tool in the target frame: x, y, z [m], roll, pitch, yaw [rad]; how far it is from there:
# distance [m], angle [rad]; its speed [m/s]. Gripper: 0 closed .. 1 open. Of what presses on the tool: force [N] and
# torque [N m] as sizes, and the force's components in the tool's frame.
Quantity = Literal[
    "x", "y", "z", "roll", "pitch", "yaw", "distance", "angle", "speed", "gripper",
    "force", "force_x", "force_y", "force_z", "torque",
]  # fmt: skip


class Bounds(FrozenModel):
    """Between which values a quantity has to lie, both included; one of them may be left out."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _possible(self) -> "Bounds":
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs 'at_least' or 'at_most'")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} must not exceed at_most {self.at_most}")
        return self


Conditions = dict[Quantity, Bounds]
SomeConditions = Annotated[Conditions, Field(min_length=1)]
