"""LeRobot 2.0, 2.1 and 3.0 to RLDS: exports of ours come back as they were, others by sensible guesses."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.example import Columns, Field
from rldg.data.exchange import lerobot_format as layout
from rldg.data.exchange.fields import TEXT, features_of, fields_of, image_field, number_field
from rldg.data.exchange.images import described_encodings, encode_picture
from rldg.data.exchange.importing import Source, episode_flags
from rldg.data.exchange.lerobot_source import UNEXPECTED, LeRobotEpisode, LeRobotFolder, read_json
from rldg.data.exchange.selection import STEPS
from rldg.errors import DatasetError, UnknownNameError, UsageError

_SPOKEN = STEPS + "language_instruction"


@dataclass(frozen=True)
class LeRobotImport:
    """Imports LeRobot data sets.

    Args:
        columns: "KEY=COLUMN" names the step column that a key of LeRobot's becomes, "KEY=" leaves the key out; keys
            that are not named follow the rules of docs/exchange.md.
    """

    columns: tuple[str, ...] = ()

    def open(self, source: Path) -> Source:
        """Reads what lies under `meta/`; frames follow episode by episode."""
        info = read_json(source / layout.INFO)
        version = str(info.get("codebase_version", "none"))
        if version not in ("v2.0", "v2.1", "v3.0"):
            raise DatasetError(f"{source} is of LeRobot's version {version}; v2.0, v2.1 and v3.0 can be imported.")
        try:
            rows = LeRobotFolder(source, info)
            sidecar = source / layout.SIDECAR
            if sidecar.exists() and not self.columns:
                translation = _own(read_json(sidecar), sidecar)
            else:
                translation = _guessed(rows, self._renamed(rows))
        except UNEXPECTED as error:
            raise DatasetError(f"{source / layout.INFO} is not a description of LeRobot's: {error!r}.") from None
        return Source(
            translation.features,
            {split: map(translation.columns, rows.episodes(span)) for split, span in rows.splits.items()},
            rows.count,
            translation.notes,
        )

    def _renamed(self, rows: "LeRobotFolder") -> dict[str, str]:
        renamed = {}
        for text in self.columns:
            key, separator, column = text.partition("=")
            if not separator:
                raise UsageError(f"'{text}' does not name a column: write KEY=COLUMN, or KEY= to leave the key out.")
            if key not in rows.features:
                raise UnknownNameError("key", key, rows.features)
            renamed[key] = column
        return renamed


@dataclass(frozen=True)
class _Translation:
    """From the keys of a LeRobot data set to the columns of RLDS."""

    features: dict[str, Any]
    fields: dict[str, Field]
    keys: dict[str, str]  # flat RLDS name -> key
    made: dict[str, Any]  # what every episode gets beside that: flat name -> function of the episode
    notes: list[str]

    @cached_property
    def encodings(self) -> dict[str, str]:
        """Flat name of each picture -> "jpeg" or "png"."""
        return described_encodings(self.features)

    def columns(self, episode: LeRobotEpisode) -> Columns:
        """One episode as the columns of a record."""
        try:
            columns = {name: self._column(name, key, episode) for name, key in self.keys.items()}
            return columns | {name: make(episode) for name, make in self.made.items()}
        except UNEXPECTED as error:
            raise DatasetError(f"Episode {episode.index} is not what its info.json says: {error!r}.") from None

    def _column(self, name: str, key: str, episode: LeRobotEpisode) -> Any:
        field, values = self.fields[name], episode.values[key]
        if field.kind == "text":
            return values
        if field.kind == "number":
            return np.asarray(values).astype(field.dtype).reshape(episode.length, *field.shape)
        return [_encoded(picture, field.shape, self.encodings[name], key, episode) for picture in values]


def _encoded(picture: Any, shape: tuple[int, ...], encoding: str, key: str, episode: LeRobotEpisode) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if picture.shape != shape:
        raise DatasetError(f"Episode {episode.index}: {key} has frames of {picture.shape}, info.json says {shape}.")
    return encode_picture(picture, encoding)


def _own(sidecar: dict[str, Any], path: Path) -> _Translation:
    """The way back of an export of ours."""
    try:
        fields = fields_of(sidecar["features"])
        keys = {STEPS + column: key for key, column in sidecar["columns"].items()}
        if not keys.keys() <= fields.keys():
            raise KeyError(min(keys.keys() - fields.keys()))
    except UNEXPECTED as error:
        raise DatasetError(f"{path} is not a note of rldg's: {error!r}.") from None
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name == _SPOKEN:
            made[name] = _spoken
        elif not name.startswith(STEPS):
            made[name] = _from_row(name, field)
    return _Translation(sidecar["features"], fields, keys, made, ["Written by rldg; everything came back."])


def _spoken(episode: LeRobotEpisode) -> list[bytes]:
    return [task.encode() for task in episode.tasks]


def _from_row(name: str, field: Field) -> Any:
    def make(episode: LeRobotEpisode) -> Any:
        value = episode.row[name]
        return value.encode() if field.kind == "text" else np.asarray(value, field.dtype)

    return make


def _guessed(rows: LeRobotFolder, renamed: dict[str, str]) -> _Translation:
    """What a foreign data set's keys most likely are."""
    fields: dict[str, Field] = {}
    keys: dict[str, str] = {}
    notes: list[str] = []
    for key, feature in rows.features.items():
        picture = feature["dtype"] in ("video", "image")
        column = renamed.get(key, "" if key in layout.INDEX else layout.column_of(key, picture=picture))
        name = STEPS + column
        if column and name not in keys and column not in ("is_first", "is_last"):
            keys[name] = key
            fields[name] = _field(feature)
            notes += [f"{key} became {column}."] if column != key else []
    width = rows.features.get(keys.get(STEPS + "action", ""), {}).get("shape", [0])
    if STEPS + "action" not in keys:
        notes.append("There is no action; name its key by --columns KEY=action.")
    elif list(width) != [7]:
        notes.append(f"Actions of shape {list(width)} are kept as they are.")
    notes += [
        f"LeRobot's format does not say what the actions mean (frame, units); the rate is {rows.rate:g} per second.",
        "Left out, because the data set does not hold it: base_action, action_normalized, discount, is_terminal, "
        "is_intervention, seed, policy and success.",
    ]
    rate = np.float32(rows.rate)
    made: dict[str, Any] = {
        _SPOKEN: _spoken,
        **{name: lambda episode, name=name: episode_flags(episode.length)[name] for name in episode_flags(0)},
        "episode_metadata/episode_id": lambda episode: f"lerobot-{episode.index}".encode(),
        "episode_metadata/rate": lambda _: rate,
    }
    fields |= {
        _SPOKEN: TEXT,
        **dict.fromkeys(episode_flags(0), number_field(np.bool_)),
        "episode_metadata/episode_id": TEXT,
        "episode_metadata/rate": number_field(np.float32),
    }
    return _Translation(features_of(fields), fields, keys, made, notes)


def _field(feature: dict[str, Any]) -> Field:
    shape = tuple(int(n) for n in feature["shape"])
    if feature["dtype"] in ("video", "image"):
        names = feature.get("names") or []
        channels_first = bool(names) and str(names[0]).startswith("channel")
        return image_field(*(shape[1:] + shape[:1] if channels_first else shape))
    if feature["dtype"] == "string":
        return TEXT
    return number_field(feature["dtype"], *(() if shape == (1,) else shape))
