"""RLDS of another making as RLDS in our contract, such as the data sets that RLDG's authors published."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.example import Columns, Field
from rldg.data.exchange.fields import TEXT, features_of, number_field
from rldg.data.exchange.importing import Source, contract_json, episode_flags
from rldg.data.exchange.selection import STEPS, encodings, open_splits, records
from rldg.errors import DatasetError, UnknownNameError, UsageError

_ACTIONS = ("action", "eef_action", "base_action")
_OBSERVATION = "observation/"


@dataclass(frozen=True)
class RldsImport:
    """Renames, pads and completes; numbers, text and pictures stay bit for bit what they were.

    Args:
        action: column that becomes `action`; by default `action`, else `eef_action`, else `base_action`.
        instruction: the task in words, for a data set that does not hold it per step.
    """

    action: str = ""
    instruction: str = ""

    def open(self, source: Path) -> Source:
        """Reads the features and the first record's pictures; records follow one by one."""
        datasets = open_splits(source)
        dataset = next(dataset for dataset in datasets.values() if len(dataset))
        there = {name.removeprefix(STEPS): field for name, field in dataset.fields.items() if name.startswith(STEPS)}
        action = self.action or next((name for name in _ACTIONS if name in there), "")
        if action not in there:
            raise UnknownNameError("action column", action or "action", there)
        translation = _Translation(there, dataset.fields, action, self.instruction)
        renamed = {translation.renamed(name): encoding for name, encoding in encodings(dataset).items()}
        splits = {name: map(translation.columns, records(part)) for name, part in datasets.items()}
        features = features_of(translation.fields, renamed)
        return Source(features, splits, sum(map(len, datasets.values())), translation.notes)


class _Translation:
    """How one data set's columns become those of the contract."""

    def __init__(self, steps: dict[str, Field], fields: dict[str, Field], action: str, instruction: str) -> None:
        self._action, self._instruction = action, instruction
        self._cameras = {name for name, field in fields.items() if field.kind == "image"}
        width = steps[action].shape
        if len(width) != 1:
            raise DatasetError(f"Column '{action}' has shape {width}; an action is a vector.")
        self._padded = {action, "base_action"} if width[0] < 7 else set()
        self._spoken = next((n for n, f in fields.items() if f.kind == "text" and n.endswith("instruction")), "")
        if not self._spoken and not instruction:
            raise UsageError("The data set does not say what was to be done; pass it as --instruction.")
        self.fields = {self.renamed(name): self._field(name, field) for name, field in fields.items()}
        self.fields[STEPS + "language_instruction"] = TEXT
        self.fields |= dict.fromkeys((STEPS + "is_first", STEPS + "is_last"), number_field(np.bool_))
        self._frame = "base" if action == "base_action" else ""
        if self._frame:
            self.fields[STEPS + "base_action"] = self.fields[STEPS + "action"]
            self.fields["episode_metadata/action_contract"] = TEXT
        self.notes = self._explained(steps, fields, width[0])

    def renamed(self, name: str) -> str:
        """The contract's name for a flat name: `action`, and `observation/image_...` for pictures."""
        column = name.removeprefix(STEPS)
        if name.startswith(STEPS) and column == self._action:
            return STEPS + "action"
        camera = column.removeprefix(_OBSERVATION)
        if name in self._cameras and name.startswith(STEPS) and not camera.startswith("image"):
            return f"{STEPS}{_OBSERVATION}image_{camera}"
        return name

    def _field(self, name: str, field: Field) -> Field:
        return number_field(field.dtype, 7) if name.removeprefix(STEPS) in self._padded else field

    def columns(self, record: Columns) -> Columns:
        """One record under the contract's names."""
        length = len(record[STEPS + self._action])
        columns = {self.renamed(name): self._value(name, value) for name, value in record.items()}
        columns |= episode_flags(length)
        spoken = columns.get(self._spoken, self._instruction.encode())
        columns[STEPS + "language_instruction"] = spoken if isinstance(spoken, list) else [spoken] * length
        if self._frame:
            columns[STEPS + "base_action"] = columns[STEPS + "action"]
            columns.setdefault("episode_metadata/action_contract", contract_json({"frame": self._frame}))
        return columns

    def _value(self, name: str, value: Any) -> Any:
        if name.removeprefix(STEPS) not in self._padded:
            return value
        return np.pad(value, ((0, 0), (0, 7 - value.shape[1])))

    def _explained(self, steps: dict[str, Field], fields: dict[str, Field], width: int) -> list[str]:
        notes = [f"action is the column {self._action}."]
        if self._frame:
            notes.append("It is in the robot's base frame, not in the end-effector frame; base_action is the same.")
        if width < 7:
            notes.append(f"Its {width} dimensions were filled up to 7 with zeros; the seventh says: gripper closed.")
        elif width > 7:
            notes.append(f"Its {width} dimensions were kept as they are.")
        contract = ("action_normalized", "base_action", "reward", "discount", "is_terminal", "is_intervention")
        missing = [name for name in contract if name not in steps and f"{STEPS}{name}" not in self.fields]
        if missing:
            notes.append(f"Left out, because the data set does not hold it: {', '.join(missing)}.")
        if "episode_metadata/success" not in fields:
            notes.append("No episode is labelled; all count as successes.")
        return notes
