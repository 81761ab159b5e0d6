"""How the loaders of Octo and OpenVLA find and read one data set."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rldg.data.example import Field
from rldg.data.reader import Dataset
from rldg.data.registration.choices import NOTHING_CHOSEN, Choices
from rldg.data.views import missing_column
from rldg.data.writer import dataset_name
from rldg.errors import DatasetError, UnknownNameError

ACTION_SIZE = 7  # what both take to be six numbers of motion and the gripper
ACTIONS = ("action", "eef_action", "base_action")  # our sets have the first, the published ones of RLDG the others


@dataclass(frozen=True)
class Registration:
    """What the loaders must be told. Columns are named without `steps/`, what lies in `observation/` without that."""

    name: str  # under which the loaders look the data set up
    version: str
    data_dir: str  # as it is given to the loaders: they look for <data_dir>/<name>/<version>
    action: str
    action_size: int  # numbers that are stored; the transform adds zeros up to `ACTION_SIZE`
    instruction: str
    single: str  # the camera that OpenVLA sees
    primary: str  # Octo's cameras
    wrist: str | None
    state: str | None
    has_pose: bool  # tcp_pose (xyz, quaternion) and gripper_pose stand beside the flat state

    @property
    def function(self) -> str:
        """Name of the standardisation transform."""
        return f"{self.name}_dataset_transform"

    @property
    def padding(self) -> int:
        """Zeros that the transform adds to an action."""
        return ACTION_SIZE - self.action_size

    @property
    def folder(self) -> str:
        """Where the loaders look."""
        return os.path.join(self.data_dir, self.name, self.version)


def register(dataset: Dataset, choices: Choices = NOTHING_CHOSEN) -> Registration:
    """What the loaders must be told of `dataset`, of which only the columns matter here.

    Raises:
        DatasetError: the data set lacks what the loaders need: a name that Python can use, a split "train", a camera,
            instructions, or actions of at most `ACTION_SIZE` numbers.
        UnknownNameError: there is no such camera.
    """
    name, version = _address(dataset.folder)
    columns = {key.removeprefix("steps/"): field for key, field in dataset.fields.items() if key.startswith("steps/")}
    observed = {key.removeprefix("observation/") for key in columns if key.count("/") == 1}
    action = chosen_action(dataset, choices)
    instruction = choices.instruction or _instruction(columns)
    if not instruction:
        raise DatasetError(
            f"{dataset.folder} has no instructions, on which both loaders insist; see `rldg data relabel`."
        )
    for column in filter(None, (action, instruction, choices.state and f"observation/{choices.state}")):
        if column not in columns:
            raise missing_column(column, columns)
    shape = columns[action].shape
    if len(shape) != 1 or shape[0] > ACTION_SIZE:
        raise DatasetError(
            f"'{action}' of {dataset.folder} has the shape {shape}; both loaders take {ACTION_SIZE} numbers, the last "
            f"for the gripper."
        )
    cameras = _cameras(dataset, choices)
    on_wrist = [camera for camera in cameras if "wrist" in camera]
    primary = choices.primary or next((camera for camera in cameras if camera not in on_wrist), cameras[0])
    return Registration(
        name=name,
        version=version,
        data_dir=choices.data_dir or _data_dir(dataset.folder),
        action=action,
        action_size=shape[0],
        instruction=instruction,
        single=choices.single or (on_wrist or cameras)[0],
        primary=primary,
        wrist=choices.wrist or next((camera for camera in on_wrist if camera != primary), None),
        state=choices.state or ("state" if "state" in observed else None),
        has_pose={"tcp_pose", "gripper_pose"} <= observed,
    )


def chosen_action(dataset: Dataset, choices: Choices) -> str:
    """The column of the actions: what was chosen, or the first of `ACTIONS` that exists."""
    return choices.action or next((column for column in ACTIONS if f"steps/{column}" in dataset.fields), ACTIONS[0])


def _instruction(columns: Mapping[str, Field]) -> str:
    texts = [name for name, field in columns.items() if field.kind == "text" and name.endswith("instruction")]
    return min(texts, key=lambda name: (name != "language_instruction", name), default="")


def _cameras(dataset: Dataset, choices: Choices) -> list[str]:
    cameras = [name.removeprefix("observation/") for name in dataset.cameras if name.count("/") == 1]
    if not cameras:
        raise DatasetError(f"{dataset.folder} has no pictures, and neither Octo nor OpenVLA acts without.")
    for camera in filter(None, (choices.single, choices.primary, choices.wrist)):
        if camera not in cameras:
            raise UnknownNameError("camera", camera, cameras)
    return cameras


def _address(folder: Path) -> tuple[str, str]:
    """Name and version under which the loaders find the data set: its folder's where that is NAME/1.0.0."""
    path = Path(os.path.abspath(folder))
    name, version = (path.parent.name, path.name) if _is_version(path.name) else dataset_name(folder)
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise DatasetError(f"'{name}' cannot be a data set's name in Python; call its folder NAME/{version}.")
    return name, version


def _data_dir(folder: Path) -> str:
    # Not resolved: a data set may be linked to where the loaders look.
    path = Path(os.path.abspath(folder))
    return str(path.parents[1] if _is_version(path.name) else path.parent / "tfds")


def _is_version(name: str) -> bool:
    return re.fullmatch(r"\d+\.\d+\.\d+", name) is not None
