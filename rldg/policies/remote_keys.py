"""`RemoteKeys`: how a policy server of another making calls what a task observes, and what its actions mean."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

from rldg.env.types import ActionContract, Observation
from rldg.errors import UsageError
from rldg.tasks.document import read_document
from rldg.tasks.loader import validate
from rldg.tasks.model import FrozenModel


def _part(path: str) -> str:
    group, slash, name = path.partition("/")
    if group not in ("state", "images", "privileged") or not (slash and name):
        raise ValueError(f"'{path}' is no part of an observation, such as state/tcp_pose or images/wrist_1")
    return path


Part = Annotated[str, AfterValidator(_part)]


class RemoteKeys(FrozenModel):
    """Read from a YAML file; docs/serving.md shows one for a π0."""

    observation: dict[str, Part | tuple[Part, ...]] = Field(
        min_length=1, description="the server's key: part of our observation, or several, joined"
    )
    prompt: str = Field(default="prompt", description="the server's key of the instruction; '' for none")
    actions: Literal["metric", "normalised"] = Field(
        default="metric",
        description="metres, radians and a gripper of 0 closed .. 1 open, as in data sets; or in [-1, 1]",
    )
    execute: int = Field(default=1, ge=1, description="actions of a chunk that are carried out before the next")

    @property
    def cameras(self) -> list[str]:
        """The cameras that the server sees through."""
        named = [parts if isinstance(parts, tuple) else (parts,) for parts in self.observation.values()]
        return sorted(part.removeprefix("images/") for parts in named for part in parts if part.startswith("images/"))

    def message(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """What the server is asked. Raises `UsageError` if the observation lacks a part."""
        found: dict[str, Any] = {}
        for key, parts in self.observation.items():
            arrays = [_of(observation, part) for part in ([parts] if isinstance(parts, str) else parts)]
            found[key] = arrays[0] if isinstance(parts, str) else np.concatenate(arrays)
        return found | ({self.prompt: instruction} if self.prompt else {})

    def normalised(self, actions: np.ndarray, contract: ActionContract) -> np.ndarray:
        """Those of the server's actions (n, 7) that are carried out, in [-1, 1]."""
        chosen = actions[: self.execute]
        return contract.to_normalized(chosen) if self.actions == "metric" else np.clip(chosen, -1, 1)


def read_remote_keys(path: Path) -> RemoteKeys:
    """The mapping in a YAML file. Raises `TaskFileError` with file, line and field of what is wrong."""
    return validate(RemoteKeys, read_document(path))


def _of(observation: Observation, part: str) -> np.ndarray:
    group, _, name = part.partition("/")
    try:
        return observation[group][name]
    except KeyError:
        has = ", ".join(sorted(f"{group}/{name}" for group, parts in observation.items() for name in parts))
        raise UsageError(f"The server wants {part}, which the task does not observe; it has {has}.") from None
