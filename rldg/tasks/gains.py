"""Gains of SERL's Cartesian impedance controller, under the names that its Franka server takes at `/update_param`."""

from pydantic import Field

from rldg.tasks.model import FrozenModel


class Gains(FrozenModel):
    """Stiffness [N/m, N m/rad], damping [N s/m, N m s/rad], integral gains, per-axis, per-sign error clips [m, rad].

    The controller computes `clip(x - x_desired, -neg_clip, clip)` per axis of the base frame, so that the spring's
    force on an axis never exceeds stiffness x clip (serl_franka_controllers, `compliance_param.cfg`).
    """

    translational_stiffness: float = Field(default=2000.0, ge=0, le=6000)
    translational_damping: float = Field(default=89.0, ge=0)
    rotational_stiffness: float = Field(default=150.0, ge=0, le=300)
    rotational_damping: float = Field(default=7.0, ge=0)
    translational_Ki: float = Field(default=0.0, ge=0)
    rotational_Ki: float = Field(default=0.0, ge=0)
    translational_clip_x: float = Field(default=0.01, gt=0, le=0.1)
    translational_clip_y: float = Field(default=0.01, gt=0, le=0.1)
    translational_clip_z: float = Field(default=0.01, gt=0, le=0.1)
    translational_clip_neg_x: float = Field(default=0.01, gt=0, le=0.1)
    translational_clip_neg_y: float = Field(default=0.01, gt=0, le=0.1)
    translational_clip_neg_z: float = Field(default=0.01, gt=0, le=0.1)
    rotational_clip_x: float = Field(default=0.05, gt=0, le=0.1)
    rotational_clip_y: float = Field(default=0.05, gt=0, le=0.1)
    rotational_clip_z: float = Field(default=0.05, gt=0, le=0.1)
    rotational_clip_neg_x: float = Field(default=0.05, gt=0, le=0.1)
    rotational_clip_neg_y: float = Field(default=0.05, gt=0, le=0.1)
    rotational_clip_neg_z: float = Field(default=0.05, gt=0, le=0.1)
