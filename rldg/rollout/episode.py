"""`Episode`: what one rollout leaves behind, column by column."""

from dataclasses import dataclass, field

import numpy as np

from rldg.env.types import FAULT


@dataclass(frozen=True)
class EpisodeMetadata:
    """Where an episode came from; every field is a scalar, as written to disk under `episode_metadata`."""

    episode_id: str
    task: str
    task_hash: str
    seed: int
    success: bool
    failure_reason: str  # "" on success
    judged_by: str  # "insertion_depth", "pose_threshold", "classifier", "operator", "conditions"
    policy_kind: str
    checkpoint_hash: str = ""
    checkpoint_step: int = 0
    backend: str = "mujoco"
    station: str = ""
    code_version: str = ""
    action_contract: str = ""  # JSON of ActionContract
    truth: str = ""  # "success" or "failure" by the simulator, where another judged; "" if unknown
    success_rule: str = ""  # JSON: by what it was judged, with its thresholds
    cameras: str = ""  # JSON, by camera: crop and resolution [px], and where and how it was mounted
    stochastic: bool = False  # whether the policy sampled its actions
    operator: str = ""  # who teleoperated or took over; "" if nobody did, or nobody was named
    time: str = ""  # ISO 8601, UTC: when the collection that it belongs to began
    penetration: float = 0.0  # deepest contact of the episode [m]; simulation only


@dataclass(frozen=True)
class Episode:
    """T actions, T steps: step t holds the observation at t and the action taken on it.

    `state`, `raw_state` and `privileged` map a part's name to (T, n) float32; `images` maps a camera to
    (T, H, W, 3) uint8. Actions are (T, 7) float32: `action` metric in the end-effector frame, `base_action` the same
    in the base frame, `action_normalized` what the policy emitted. `final` is the observation after the last action
    (not written to disk).
    """

    metadata: EpisodeMetadata
    instruction: str
    state: dict[str, np.ndarray]
    raw_state: dict[str, np.ndarray]
    privileged: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    action: np.ndarray
    base_action: np.ndarray
    action_normalized: np.ndarray
    reward: np.ndarray  # (T,) float32
    is_terminal: np.ndarray  # (T,) bool: true on the last step if the episode ended by itself, not by time-out
    is_intervention: np.ndarray  # (T,) bool
    final: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of control steps T."""
        return len(self.reward)

    @property
    def fault(self) -> str:
        """What failed in the set-up, such as the network, if that ended the episode; else ""."""
        reason = self.metadata.failure_reason
        return reason if reason.startswith(FAULT) else ""

    @property
    def success(self) -> bool:
        """Whether the episode was judged a success."""
        return self.metadata.success
