"""RLDS to robomimic's HDF5: one file, a group per episode.

Source: ARISE-Initiative/robomimic, docs/datasets/overview.md and robomimic/utils/dataset.py.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.example import Columns, Field
from rldg.data.exchange.extras import required
from rldg.data.exchange.selection import STEPS, records
from rldg.data.images import decode_image
from rldg.data.reader import Dataset, Entry
from rldg.data.writer import dataset_name
from rldg.errors import UnknownNameError, UsageError

_OBSERVATION = "observation/"
_GYM = 2  # robomimic's EnvType.GYM_TYPE: the only kind that needs none of its simulators
_TAKEN = ("reward", "is_last")


@dataclass(frozen=True)
class RobomimicExport:
    """Exports to robomimic's HDF5.

    Args:
        action: column that becomes `actions`; by default `action_normalized` where there is one, since robomimic wants
            actions in [-1, 1], else `action`.
        valid: share of the episodes, taken from the end, that `mask/valid` lists when there is no split "val".
        next_obs: whether every observation is written a second time as its predecessor's `next_obs`.
    """

    action: str = ""
    valid: float = 0.1
    next_obs: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.valid < 1:
            raise UsageError(f"The share of episodes for validation lies between 0 and 1, not at {self.valid}.")

    def write(self, splits: dict[str, Dataset], out: Path, advance: Callable[[], Any]) -> dict[str, Any]:
        """Writes NAME.hdf5, which carries its name once it is complete."""
        h5py = required("h5py", "robomimic")
        dataset = next(dataset for dataset in splits.values() if len(dataset))
        action = self._action(dataset)
        path = out / f"{dataset_name(out)[0]}.hdf5"
        temporary = path.with_name(path.name + ".tmp")
        masks: dict[str, list[str]] = {"train": [], "valid": [], "successes": [], "failures": []}
        total = number = 0
        with h5py.File(temporary, "w") as file:
            data = file.create_group("data")
            for split, part in splits.items():
                for entry, record in zip(part.entries, records(part), strict=True):
                    name = f"demo_{number}"
                    _write_episode(data.create_group(name), record, part.fields, action, entry, self.next_obs)
                    masks["valid" if split == "val" else "train"].append(name)
                    masks["successes" if entry.success else "failures"].append(name)
                    total += entry.length
                    number += 1
                    advance()
            if not masks["valid"] and number > 1:
                held_out = round(self.valid * number)
                masks["valid"], masks["train"] = (
                    masks["train"][number - held_out :],
                    masks["train"][: number - held_out],
                )
            for name, demos in masks.items():
                if demos:
                    file[f"mask/{name}"] = np.array(demos, "S")
            data.attrs["total"] = total
            data.attrs["env_args"] = json.dumps(_environment(dataset))
        temporary.replace(path)
        counts = {name: len(demos) for name, demos in masks.items()}
        return {"file": path.name, "episodes": number, "steps": total, "actions": action, "masks": counts}

    def _action(self, dataset: Dataset) -> str:
        wanted = (self.action,) if self.action else ("action_normalized", "action")
        found = next((name for name in wanted if STEPS + name in dataset.fields), None)
        if found is None:
            names = (name.removeprefix(STEPS) for name in dataset.fields if name.startswith(STEPS))
            raise UnknownNameError("action column", wanted[-1], names)
        return found


def _write_episode(
    group: Any, record: Columns, fields: dict[str, Field], action: str, entry: Entry, next_obs: bool
) -> None:
    """One `data/demo_i`: what robomimic knows under its names, everything else under `rldg/`."""
    length = entry.length
    steps = {name.removeprefix(STEPS): value for name, value in record.items() if name.startswith(STEPS)}
    group.attrs["num_samples"] = length
    for name, value in entry.metadata.items():
        group.attrs[name] = value
    group["actions"] = steps.pop(action)
    group["rewards"] = np.asarray(steps.get("reward", np.zeros(length)), np.float32)
    group["dones"] = np.asarray(steps.get("is_last", np.arange(length) == length - 1)).astype(np.uint8)
    for name, value in steps.items():
        kind = fields[STEPS + name].kind
        if kind == "image":
            value = np.stack([decode_image(content) for content in value])
        if name.startswith(_OBSERVATION):
            key = name.removeprefix(_OBSERVATION)
            _write_array(group, f"obs/{key}", value)
            if next_obs:
                _write_array(group, f"next_obs/{key}", _shifted(value))
        elif name not in _TAKEN:
            group[f"rldg/{name}"] = np.array(value, "S") if kind == "text" else value


def _shifted(values: Any) -> Any:
    """Each step's successor; RLDS does not hold what followed the last action, so the last is its own."""
    following = np.minimum(np.arange(len(values)) + 1, len(values) - 1)
    return np.asarray(values)[following]


def _write_array(group: Any, name: str, value: Any) -> None:
    """Pictures are compressed one by one, so that a training reads single frames."""
    value = np.asarray(value)
    if value.dtype == np.uint8 and value.ndim == 4:
        group.create_dataset(name, data=value, chunks=(1, *value.shape[1:]), compression="gzip", compression_opts=4)
    else:
        group[name] = value if value.dtype.kind != "O" else np.array(value.tolist(), "S")


def _environment(dataset: Dataset) -> dict[str, Any]:
    """What robomimic calls `env_args`: enough to know the task; it has no simulator of ours."""
    metadata = dataset.entries[0].metadata
    return {"env_name": metadata.get("task", dataset_name(dataset.folder)[0]), "type": _GYM, "env_kwargs": {}}
