"""`Subject`: one episode as the checks see it, read from a record that may be anything."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rldg.data.example import Field, decode
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.pictures import Picture, look_at
from rldg.errors import DatasetError

METADATA, STEPS = "episode_metadata/", "steps/"


@dataclass(frozen=True)
class Subject:
    """An episode whose columns are equally long. Numbers are (T, ...) arrays, texts and encoded pictures lists."""

    place: Place
    fields: Mapping[str, Field]
    metadata: Mapping[str, Any]
    steps: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.steps.values())))

    @property
    def task(self) -> str:
        """What was done: the task's name, or where that is not said, the instruction."""
        return str(self.metadata.get("task", self.steps.get("language_instruction", [""])[0]))

    @cached_property
    def pictures(self) -> dict[str, list[Picture]]:
        """Camera column -> what each of its pictures looks like; decoded once for all checks."""
        return {
            name: [look_at(content) for content in column]
            for name, column in self.steps.items()
            if self.fields[STEPS + name].kind == "image"
        }

    def at(self, step: int) -> Place:
        """The place of one step."""
        return replace(self.place, step=int(step))


def read_subject(content: bytes, place: Place, fields: Mapping[str, Field]) -> Subject | Finding:
    """The episode in a record, or why there is none."""
    try:
        columns = decode(content, fields)
    except DatasetError as error:
        right = "a tf.train.Example with the fields of features.json"
        return Finding("record_undecodable", f"the record cannot be decoded: {error}", right, place)
    steps = {name.removeprefix(STEPS): column for name, column in columns.items() if name.startswith(STEPS)}
    if not steps:
        return Finding("record_undecodable", "features.json names no field under 'steps'", "RLDS", place)
    lengths = {name: len(column) for name, column in steps.items()}
    most = max(set(lengths.values()), key=list(lengths.values()).count)
    odd = next((name for name, length in lengths.items() if length != most), None)
    if odd is not None:
        what = f"'{odd}' has {lengths[odd]} steps where the other columns have {most}"
        return Finding("column_length", what, "every column as long as the episode", place)
    if most == 0:
        return Finding("episode_empty", "the episode has no step", "at least one step", place)
    metadata = {name.removeprefix(METADATA): _text(v) for name, v in columns.items() if name.startswith(METADATA)}
    presented = {
        name: [_text(text) for text in column] if fields[STEPS + name].kind == "text" else column
        for name, column in steps.items()
    }
    return Subject(place, fields, metadata, presented)


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
