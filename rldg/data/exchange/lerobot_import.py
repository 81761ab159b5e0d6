"""LeRobot 2.0, 2.1 and 3.0 to RLDS: exports of ours come back as they were, others by sensible guesses."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.example import Columns, Field
from rldg.data.exchange import lerobot_format as layout
from rldg.data.exchange.extras import required
from rldg.data.exchange.fields import TEXT, features_of, fields_of, image_field, number_field
from rldg.data.exchange.images import described_encodings, encode_picture
from rldg.data.exchange.importing import Source, episode_flags
from rldg.data.exchange.selection import STEPS
from rldg.data.exchange.video import read_frames
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
        info = _read_json(source / layout.INFO)
        version = str(info.get("codebase_version", "none"))
        if version not in ("v2.0", "v2.1", "v3.0"):
            raise DatasetError(f"{source} is of LeRobot's version {version}; v2.0, v2.1 and v3.0 can be imported.")
        try:
            rows = _Rows(source, info)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{source / layout.INFO} is not a description of LeRobot's: {error!r}.") from None
        sidecar = source / layout.SIDECAR
        if sidecar.exists() and not self.columns:
            translation = _own(_read_json(sidecar), sidecar)
        else:
            translation = _guessed(rows, self._renamed(rows))
        return Source(
            translation.features,
            {split: map(translation.columns, rows.episodes(span)) for split, span in rows.splits.items()},
            rows.count,
            translation.notes,
        )

    def _renamed(self, rows: "_Rows") -> dict[str, str]:
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
class _Episode:
    """One episode as LeRobot holds it: key -> column; videos as iterators of frames."""

    index: int
    length: int
    tasks: list[str]  # per step
    values: dict[str, Any]
    row: dict[str, Any]  # what `meta/episodes` says of it; empty for version 2


class _Rows:
    """The episodes of a LeRobot data set, whatever its version."""

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self._folder, self._info = folder, info
        self._arrow: Any = required("pyarrow", "lerobot")
        self._parquet: Any = required("pyarrow.parquet", "lerobot")
        self.rate = float(info["fps"])
        self.features: dict[str, dict[str, Any]] = {k: dict(v) for k, v in info["features"].items()}
        self.count = int(info["total_episodes"])
        self.splits = self._spans(info.get("splits") or {})
        self._latest = info["codebase_version"] == "v3.0"
        self._tasks = self._read_tasks()
        self._rows = self._read_rows() if self._latest else {}

    def _spans(self, splits: dict[str, str]) -> dict[str, range]:
        """Split -> its episodes. Only ranges are understood; anything else counts as one split "train"."""
        spans = {}
        for name, text in splits.items():
            first, separator, end = str(text).partition(":")
            if not separator or not first.isdigit() or not end.isdigit():
                return {"train": range(self.count)}
            spans[name] = range(int(first), int(end))
        return spans or {"train": range(self.count)}

    def _read_tasks(self) -> dict[int, str]:
        if self._latest:
            rows = self._table(self._folder / layout.TASKS).to_pylist()
        else:
            rows = _read_lines(self._folder / "meta" / "tasks.jsonl")
        return {int(row["task_index"]): next(str(v) for k, v in row.items() if k != "task_index") for row in rows}

    def _read_rows(self) -> dict[int, dict[str, Any]]:
        """Episode -> its row of `meta/episodes`, without the statistics."""
        rows = {}
        for path in sorted(self._folder.glob("meta/episodes/*/*.parquet")):
            names = [n for n in self._opened(path).schema_arrow.names if not n.startswith("stats/")]
            rows |= {int(row["episode_index"]): row for row in self._table(path, names).to_pylist()}
        return rows

    def episodes(self, span: range) -> Iterator[_Episode]:
        """The episodes of a split in the order of the files, each once; one is held at a time."""
        for index, table in self._tables(span):
            try:
                yield self._episode(index, table)
            except (KeyError, ValueError, TypeError) as error:
                raise DatasetError(
                    f"{self._folder}: episode {index} is not what its info.json says: {error!r}."
                ) from None

    def _tables(self, span: range) -> Iterator[tuple[int, Any]]:
        """(episode, its rows) of every episode in the span, put together from the row groups they lie in."""
        seen: set[int] = set()
        held: list[Any] = []
        current = -1
        for path in sorted(self._folder.glob("data/*/*.parquet")):
            for batch in self._batches(path):
                indices = batch.column("episode_index").to_numpy()
                starts = np.flatnonzero(np.diff(indices, prepend=indices[:1] - 1))
                for start, end in zip(starts, [*starts[1:], len(indices)], strict=True):
                    if indices[start] != current:
                        if held:
                            yield current, self._arrow.Table.from_batches(held)
                        current, held = int(indices[start]), []
                        if current in seen:
                            raise DatasetError(f"{path}: episode {current} stands in two places.")
                        seen.add(current)
                    if current in span:
                        held.append(batch.slice(start, end - start))
        if held:
            yield current, self._arrow.Table.from_batches(held)
        missing = [index for index in span if index not in seen]
        if missing:
            raise DatasetError(f"{self._folder} has no rows of episode {missing[0]}, which its info.json lists.")

    def _batches(self, path: Path) -> Iterator[Any]:
        try:
            yield from self._opened(path).iter_batches(batch_size=256)
        except (self._arrow.ArrowException, OSError) as error:
            raise DatasetError(f"{path} cannot be read: {error}.") from None

    def _opened(self, path: Path) -> Any:
        try:
            return self._parquet.ParquetFile(path)
        except (self._arrow.ArrowException, OSError) as error:
            raise DatasetError(f"{path} cannot be read: {error}.") from None

    def _table(self, path: Path, columns: list[str] | None = None) -> Any:
        try:
            return self._opened(path).read(columns)
        except (self._arrow.ArrowException, OSError) as error:
            raise DatasetError(f"{path} cannot be read: {error}.") from None

    def _episode(self, index: int, table: Any) -> _Episode:
        length = table.num_rows
        values: dict[str, Any] = {}
        for key, feature in self.features.items():
            if feature["dtype"] == "video":
                path, start = self._video(key, index)
                values[key] = read_frames(path, start, length, self.rate)
            else:
                values[key] = self._values(key, feature, table.column(key))
        tasks = [self._tasks[i] for i in table.column("task_index").to_pylist()]
        return _Episode(index, length, tasks, values, self._rows.get(index, {}))

    def _values(self, key: str, feature: dict[str, Any], column: Any) -> Any:
        if feature["dtype"] == "image":
            return [self._picture(cell) for cell in column.to_pylist()]
        if feature["dtype"] == "string":
            return [str(text).encode() for text in column.to_pylist()]
        while hasattr(column.type, "storage_type") or self._arrow.types.is_nested(column.type):
            chunks = column.combine_chunks()
            column = chunks.storage if hasattr(column.type, "storage_type") else chunks.flatten()
        return column.to_numpy(zero_copy_only=False) if hasattr(column, "null_count") else np.asarray(column)

    def _picture(self, cell: dict[str, Any]) -> bytes:
        if cell["bytes"] is not None:
            return cell["bytes"]
        return _inside(self._folder, self._folder / cell["path"]).read_bytes()

    def _video(self, key: str, index: int) -> tuple[Path, float]:
        """The file that holds an episode's frames, and where they begin in it [s]."""
        if self._latest:
            row = self._rows[index]
            place = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            start = float(row[f"videos/{key}/from_timestamp"])
        else:
            place = {"episode_chunk": index // int(self._info["chunks_size"]), "episode_index": index}
            start = 0.0
        path = self._folder / str(self._info["video_path"]).format(video_key=key, **place)
        return _inside(self._folder, path), start


def _inside(folder: Path, path: Path) -> Path:
    """`path`, unless it leads out of the data set."""
    if folder.resolve() not in path.resolve().parents:
        raise DatasetError(f"{folder} names a file outside of itself: {path}.")
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing; LeRobot data sets have it.") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{path} is not a JSON object.")
    return content


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing; LeRobot data sets have it.") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not a list of JSON objects: {error}.") from None


@dataclass(frozen=True)
class _Translation:
    """From the keys of a LeRobot data set to the columns of RLDS."""

    features: dict[str, Any]
    fields: dict[str, Field]
    keys: dict[str, str]  # flat RLDS name -> key
    made: dict[str, Any]  # what every episode gets beside that: flat name -> function of the episode
    notes: list[str]

    def columns(self, episode: _Episode) -> Columns:
        """One episode as the columns of a record."""
        encodings = described_encodings(self.features)
        columns: Columns = {}
        for name, key in self.keys.items():
            field, values = self.fields[name], episode.values[key]
            if field.kind == "image":
                columns[name] = [_encoded(v, field.shape, encodings[name], key, episode) for v in values]
            elif field.kind == "text":
                columns[name] = values
            else:
                columns[name] = np.asarray(values).astype(field.dtype).reshape(episode.length, *field.shape)
        for name, make in self.made.items():
            columns[name] = make(episode)
        return columns


def _encoded(picture: Any, shape: tuple[int, ...], encoding: str, key: str, episode: _Episode) -> bytes:
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is not a note of rldg's: {error!r}.") from None
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name == _SPOKEN:
            made[name] = _spoken
        elif not name.startswith(STEPS):
            made[name] = _from_row(name, field)
    return _Translation(sidecar["features"], fields, keys, made, ["Written by rldg; everything came back."])


def _spoken(episode: _Episode) -> list[bytes]:
    return [task.encode() for task in episode.tasks]


def _from_row(name: str, field: Field) -> Any:
    def make(episode: _Episode) -> Any:
        value = episode.row[name]
        return value.encode() if field.kind == "text" else np.asarray(value, field.dtype)

    return make


def _guessed(rows: _Rows, renamed: dict[str, str]) -> _Translation:
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
