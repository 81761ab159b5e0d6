"""`Task`: what has to be done, how it is judged and how the arm may move, for simulation and the real robot alike."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rldg.tasks.box import Box
from rldg.tasks.conditions import Conditions, SomeConditions
from rldg.tasks.gains import Gains
from rldg.tasks.model import FrozenModel, Vector3, Vector6
from rldg.tasks.scene import SimulatedScene


class ActionScale(FrozenModel):
    """What a normalised action of 1 means in one control step."""

    translation: float = Field(gt=0, le=0.1, description="metres per step")
    rotation: float = Field(gt=0, le=1.0, description="radians per step")


class InsertionDepth(FrozenModel):
    """Success once the plug has sat inside the socket, at depth, for a number of consecutive control steps."""

    kind: Literal["insertion_depth"]
    fraction: float = Field(
        default=0.95, gt=0, le=1, description="share of the full insertion depth that must be reached"
    )
    hold_steps: int = Field(default=2, ge=1, description="consecutive control steps at depth")
    released: bool = Field(
        default=False, exclude_if=lambda v: not v, description="whether the gripper has to have let go"
    )


class PoseThreshold(FrozenModel):
    """Success when the tool is within a tolerance of the target pose (RLDG's released connector reward)."""

    kind: Literal["pose_threshold"]
    tolerance: Vector6 = Field(description="x y z [m], rotation vector [rad], absolute, in the target frame")


class Placed(FrozenModel):
    """Success once what was grasped rests at its target, let go."""

    kind: Literal["placed"]
    radius: float = Field(gt=0, le=0.5, description="largest horizontal distance from the target [m]")
    height: float = Field(gt=0, le=0.5, description="largest vertical distance from the target [m]")
    hold_steps: int = Field(default=2, ge=1, description="consecutive control steps in which it does not move")


class JudgedByWorld(FrozenModel):
    """Success by the rule of the benchmark that the task comes from."""

    kind: Literal["world"]


GroundTruth = Annotated[InsertionDepth | PoseThreshold | Placed, Field(discriminator="kind")]


class JudgedApart(FrozenModel):
    """A judgement of which a simulator can say whether it was right."""

    truth: GroundTruth | None = Field(
        default=None, description="by what a simulator judges too, for the record beside the verdict"
    )


class JudgedByClassifier(JudgedApart):
    """Success when a reward classifier says so, asked only where the guard's conditions hold."""

    kind: Literal["classifier"]
    checkpoint: str = Field(description="folder that `rldg classifier train` wrote, from the working directory")
    weight_hash: str = Field(default="", description="of the classifier that is meant; another one is refused")
    threshold: float = Field(default=0.85, gt=0, lt=1, description="probability from which on it is a success")
    guard: Conditions = Field(default={}, description="where the classifier is asked at all")


class JudgedByOperator(JudgedApart):
    """Success when the operator says so, by a key or a button."""

    kind: Literal["operator"]


class JudgedByConditions(JudgedApart):
    """Success when everything that the robot measures is within bounds: a reward written by hand."""

    kind: Literal["conditions"]
    conditions: SomeConditions


Success = Annotated[
    InsertionDepth
    | PoseThreshold
    | Placed
    | JudgedByClassifier
    | JudgedByOperator
    | JudgedByConditions
    | JudgedByWorld,
    Field(discriminator="kind"),
]


class CameraView(FrozenModel):
    """One camera as the policy sees it: the crop of the raw frame and the resolution it is brought to."""

    resolution: int = Field(default=128, ge=16, le=1024, description="pixels, square")
    crop: tuple[float, float, float, float] = Field(
        default=(0.0, 0.0, 1.0, 1.0), description="left, top, right, bottom as shares of the raw frame"
    )


class Task(FrozenModel):
    """One task. Frames: the *target frame* is the pose of the tool centre point when the task is done."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    instruction: str = Field(min_length=1)
    paraphrases: tuple[str, ...] = ()
    seen: bool = Field(True, description="whether generalists are trained on it, or it is held out")
    rate: float = Field(default=10.0, gt=0, le=100, description="control steps per second")
    horizon: int = Field(default=100, ge=1, description="control steps until a time-out")
    action_scale: ActionScale
    workspace: Box = Field(description="where the commanded tool pose may go")
    reset_offset: Vector3 = Field(description="reset position relative to the target, in the base frame's axes [m]")
    reset_noise: Box = Field(description="uniform draw that is added to the reset pose")
    success: Success
    gripper: Literal["fixed", "binary", "continuous"] = "fixed"
    force_limit: float = Field(default=60.0, gt=0, description="newtons; the episode ends as a failure beyond it")
    compliance: Gains = Field(description="gains while the policy acts")
    precision: Gains = Field(description="gains while the arm returns to its reset pose")
    cameras: dict[str, CameraView]
    sim: SimulatedScene | None = None

    @model_validator(mode="after")
    def _start_where_grasped(self) -> "Task":
        if self.sim is not None and (self.sim.start is not None) != (self.gripper == "binary"):
            raise ValueError(
                f"with gripper '{self.gripper}', sim.start must {'' if self.gripper == 'binary' else 'not '}be given"
            )
        return self

    @property
    def judged_by_person(self) -> bool:
        """Whether somebody watches every episode and says when it has succeeded."""
        return isinstance(self.success, JudgedByOperator)

    @property
    def hash(self) -> str:
        """SHA-256 (first 16 hex digits) of the task's whole content: two tasks with one hash are the same task."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
