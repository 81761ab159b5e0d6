"""The base of every model that is read from YAML: frozen, and closed against unknown fields."""

from pydantic import BaseModel, ConfigDict

Vector2 = tuple[float, float]
Vector3 = tuple[float, float, float]
Vector6 = tuple[float, float, float, float, float, float]
Pose = tuple[float, float, float, float, float, float, float]


class FrozenModel(BaseModel):
    """Immutable, rejects unknown fields and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
