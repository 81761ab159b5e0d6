"""SERL's transitions as the columns of an RLDS record."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from rldg.data.example import Columns, Field
from rldg.data.exchange.fields import TEXT, image_field, number_field
from rldg.data.exchange.importing import contract_json, episode_flags
from rldg.data.images import encode_jpeg
from rldg.env.types import STATE_PARTS, STATE_SIZE, ActionContract
from rldg.errors import DatasetError, UnknownNameError, UsageError

Transition = dict[str, Any]

_EULER_PARTS = STATE_PARTS | {"tcp_pose": 6}
# What states of these sizes hold in HIL-SERL's and RLDG's configurations.
_KNOWN_STATES = {
    19: tuple(STATE_PARTS),
    18: tuple(part for part in STATE_PARTS if part != "gripper_pose"),
    20: tuple(STATE_PARTS),
}


@dataclass(frozen=True)
class SerlSettings:
    """What the pickles do not say.

    Args:
        instruction: the task in words.
        action_scale: metres and radians that an action of 1 moves per step: ACTION_SCALE of the environment's config.
        rate: control steps per second.
        state_keys: what the flat state holds ("tcp_pose", "gripper_pose", ...), if its size does not tell.
    """

    instruction: str
    action_scale: tuple[float, float]
    rate: float = 10.0
    state_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (min(self.action_scale) > 0 and self.rate > 0):
            raise UsageError("Action scale and rate are greater than 0.")
        for key in self.state_keys:
            if key not in STATE_PARTS:
                raise UnknownNameError("part of the state", key, STATE_PARTS)


class TransitionColumns:
    """Which columns the transitions of a data set make, decided by its first one, and how."""

    def __init__(self, first: Transition, settings: SerlSettings) -> None:
        self._settings = settings
        self._size = len(first["state"])
        self._keys = settings.state_keys or _KNOWN_STATES.get(self._size, ())
        self._dimensions = len(first["action"])
        self._cameras = {camera: picture.shape for camera, picture in first["images"].items()}
        self._optional = {name for name in ("infos", "grasp_penalty", "raw_state") if first[name] is not None}
        pose = 6 + self._size - sum(_EULER_PARTS[key] for key in self._keys)
        if self._keys and not ("tcp_pose" in self._keys and pose in (6, 7)) and pose != 6:
            raise DatasetError(
                f"A state of {self._size} numbers cannot be {', '.join(self._keys)}; say what it holds by --state-keys."
            )
        self._pose_size = pose
        scale = settings.action_scale
        gripper = "binary" if self._dimensions == 7 else "fixed"
        self._contract = ActionContract(*scale, rate=settings.rate, gripper=gripper)
        self.notes = self._explained()

    @property
    def fields(self) -> dict[str, Field]:
        """Flat name -> field of every record."""
        steps: dict[str, Field] = {
            **{f"observation/image_{camera}": image_field(*shape) for camera, shape in self._cameras.items()},
            **{
                f"observation/{part}": number_field(np.float32, STATE_PARTS[part])
                for part in STATE_PARTS
                if part in self._keys
            },
            "observation/serl_state": number_field(np.float32, self._size),
            "action": number_field(np.float32, 7 if self._single_arm else self._dimensions),
            "action_normalized": number_field(np.float32, 7 if self._single_arm else self._dimensions),
            "language_instruction": TEXT,
            "reward": number_field(np.float32),
            "discount": number_field(np.float32),
            **{name: number_field(np.bool_) for name in ("is_first", "is_last", "is_terminal")},
        }
        if self._complete:
            steps["observation/state"] = number_field(np.float32, STATE_SIZE)
        if "raw_state" in self._optional:
            steps["observation/raw_state"] = number_field(np.float32, STATE_SIZE)
        if "infos" in self._optional:
            steps["is_intervention"] = number_field(np.bool_)
        if "grasp_penalty" in self._optional:
            steps["grasp_penalty"] = number_field(np.float32)
        metadata = {
            "episode_id": TEXT,
            "success": number_field(np.bool_),
            "failure_reason": TEXT,
            "action_contract": TEXT,
        }
        return {f"steps/{name}": field for name, field in steps.items()} | {
            f"episode_metadata/{name}": field for name, field in metadata.items()
        }

    @property
    def _single_arm(self) -> bool:
        return self._dimensions in (6, 7)

    @property
    def _complete(self) -> bool:
        """Whether all of the contract's state is there, be it that the raw state knows the gripper."""
        missing = set(STATE_PARTS) - set(self._keys)
        return not missing or (missing == {"gripper_pose"} and "raw_state" in self._optional)

    def columns(self, episode: list[Transition], index: int) -> Columns:
        """One episode as the columns of a record."""
        self._check(episode, index)
        settings, length = self._settings, len(episode)
        success = episode[-1]["reward"] > 0
        ended = episode[-1]["done"]
        normalized = np.stack([step["action"] for step in episode])
        if self._dimensions == 6:
            normalized = np.pad(normalized, ((0, 0), (0, 1)), constant_values=-1)
        terminal = np.array([success and ended and step == length - 1 for step in range(length)])
        flat = np.stack([step["state"] for step in episode])
        columns: Columns = {
            "steps/observation/serl_state": flat,
            "steps/action": self._contract.to_metric(normalized) if self._single_arm else normalized,
            "steps/action_normalized": normalized,
            "steps/language_instruction": [settings.instruction.encode()] * length,
            "steps/reward": np.array([step["reward"] for step in episode], np.float32),
            "steps/discount": 1 - terminal.astype(np.float32),
            "steps/is_terminal": terminal,
            **episode_flags(length),
            "episode_metadata/episode_id": f"serl-{index}".encode(),
            "episode_metadata/success": success,
            "episode_metadata/failure_reason": b"" if success else b"unknown" if ended else b"incomplete",
            "episode_metadata/action_contract": contract_json(self._contract),
        }
        for camera in self._cameras:
            columns[f"steps/observation/image_{camera}"] = [encode_jpeg(step["images"][camera]) for step in episode]
        parts = self._parts(flat)
        columns |= {f"steps/observation/{part}": values for part, values in parts.items()}
        if "raw_state" in self._optional:
            raw = np.stack([step["raw_state"] for step in episode])
            columns["steps/observation/raw_state"] = raw
            parts.setdefault("gripper_pose", raw[:, -STATE_PARTS["gripper_pose"] :])
        if self._complete:
            columns["steps/observation/state"] = np.concatenate([parts[part] for part in STATE_PARTS], axis=1)
        if "infos" in self._optional:
            columns["steps/is_intervention"] = np.array(["intervene_action" in step["infos"] for step in episode])
        if "grasp_penalty" in self._optional:
            columns["steps/grasp_penalty"] = np.array([step["grasp_penalty"] for step in episode], np.float32)
        return columns

    def _parts(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Part -> (T, n) of the flat state, orientations as quaternions."""
        sizes = {key: self._pose_size if key == "tcp_pose" else STATE_PARTS[key] for key in sorted(self._keys)}
        ends = np.cumsum(list(sizes.values()))[:-1]
        parts = dict(zip(sizes, np.split(flat, ends, axis=1), strict=True)) if sizes else {}
        if parts and self._pose_size == 6 and "tcp_pose" in parts:
            pose = parts["tcp_pose"]
            quaternion = Rotation.from_euler("xyz", pose[:, 3:]).as_quat()
            parts["tcp_pose"] = np.concatenate([pose[:, :3], quaternion], axis=1).astype(np.float32)
        return parts

    def _check(self, episode: list[Transition], index: int) -> None:
        """Raises `DatasetError` if a transition is not like the first one."""
        for step, transition in enumerate(episode):
            cameras = {camera: picture.shape for camera, picture in transition["images"].items()}
            alike = len(transition["state"]) == self._size and len(transition["action"]) == self._dimensions
            missing = [name for name in self._optional if transition[name] is None]
            if not alike or cameras != self._cameras or missing:
                raise DatasetError(
                    f"Episode {index}, step {step}: state, action, cameras {sorted(cameras)} or extras differ from "
                    f"those of the first transition."
                )

    def _explained(self) -> list[str]:
        notes = [
            "Episodes that end without reward count as failures that ran out of time: SERL does not say why they end.",
            "Left out, because the pickles do not hold it: base_action, seed, policy, station and time.",
            "Actions are in the end-effector frame; what SERL sent to the robot went through its own adjoint, which "
            "adds a rotation to every translation (docs/exchange.md).",
        ]
        if self._dimensions == 6:
            notes.append("The six-dimensional actions have a fixed gripper; it was written as closed.")
        elif not self._single_arm:
            notes.append(f"Actions of {self._dimensions} dimensions are kept as they are, normalised to -1 .. 1.")
        if not self._keys:
            notes.append(
                f"What the state's {self._size} numbers are is unknown; they stand in observation/serl_state alone."
            )
        elif not self._complete:
            left = ", ".join(sorted(set(STATE_PARTS) - set(self._keys)))
            notes.append(f"observation/state is left out, because the pickles do not hold {left}.")
        if "infos" not in self._optional:
            notes.append("is_intervention is left out, because the transitions have no infos.")
        return notes
