"""`Box`: bounds of a pose."""

from pydantic import model_validator

from rldg.tasks.model import FrozenModel, Vector6


class Box(FrozenModel):
    """Bounds of a pose relative to the target pose, in the target frame: x y z [m], roll pitch yaw [rad]."""

    low: Vector6
    high: Vector6

    @model_validator(mode="after")
    def _ordered(self) -> "Box":
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low {self.low} must not exceed high {self.high}")
        return self
