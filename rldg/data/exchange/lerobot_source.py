"""LeRobot data sets of versions 2.0, 2.1 and 3.0 as they lie on disk, read episode by episode."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.exchange import lerobot_format as layout
from rldg.data.exchange.extras import required
from rldg.data.exchange.video import read_frames
from rldg.errors import DatasetError

# What unexpected content of foreign files makes Python raise.
UNEXPECTED = (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class LeRobotEpisode:
    """One episode as LeRobot holds it: key -> column; videos as iterators of frames."""

    index: int
    length: int
    tasks: list[str]  # per step
    values: dict[str, Any]
    row: dict[str, Any]  # what `meta/episodes` says of it; empty for version 2


class LeRobotFolder:
    """The episodes of a LeRobot data set, whatever its version."""

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self._folder, self._info = folder, info
        self._arrow: Any = required("pyarrow", "lerobot")
        self._parquet: Any = required("pyarrow.parquet", "lerobot")
        self.rate = float(info["fps"])
        if not 0 < self.rate < 1e6:
            raise ValueError(f"fps {self.rate}")
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
            rows |= {int(row["episode_index"]): row for row in self._table(path, without="stats/").to_pylist()}
        return rows

    def episodes(self, span: range) -> Iterator[LeRobotEpisode]:
        """The episodes of a split in the order of the files, each once; one is held at a time."""
        with self._reading(self._folder / "data"):
            for index, table in self._tables(span):
                yield self._episode(index, table)

    def _tables(self, span: range) -> Iterator[tuple[int, Any]]:
        """(episode, its rows) of every episode in the span, put together from the row groups they lie in."""
        seen: set[int] = set()
        held: list[Any] = []
        current = -1
        for path in sorted(self._folder.glob("data/*/*.parquet")):
            for index, part in self._parts(path):
                if index != current:
                    if held:
                        yield current, self._arrow.Table.from_batches(held)
                    current, held = index, []
                    if current in seen:
                        raise DatasetError(f"{path}: episode {current} stands in two places.")
                    seen.add(current)
                if current in span:
                    held.append(part)
        if held:
            yield current, self._arrow.Table.from_batches(held)
        missing = next((index for index in span if index not in seen), None)
        if missing is not None:
            raise DatasetError(f"{self._folder} has no rows of episode {missing}, which its info.json lists.")

    def _parts(self, path: Path) -> Iterator[tuple[int, Any]]:
        """(episode, rows of it that stand together) in the order of the file."""
        with self._reading(path):
            for batch in self._parquet.ParquetFile(path).iter_batches(batch_size=256):
                indices = batch.column("episode_index").to_numpy()
                starts = np.flatnonzero(np.diff(indices, prepend=indices[:1] - 1))
                for start, end in zip(starts, [*starts[1:], len(indices)], strict=True):
                    yield int(indices[start]), batch.slice(start, end - start)

    def _table(self, path: Path, *, without: str = "none/") -> Any:
        """A whole table, but for the columns whose names begin with `without`."""
        with self._reading(path):
            file = self._parquet.ParquetFile(path)
            return file.read([name for name in file.schema_arrow.names if not name.startswith(without)])

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        """Turns what goes wrong with a table into a `DatasetError` that names its file."""
        try:
            yield
        except (self._arrow.ArrowException, OSError, *UNEXPECTED) as error:
            raise DatasetError(f"{path} cannot be read: {' '.join(repr(error).split())}.") from None

    def _episode(self, index: int, table: Any) -> LeRobotEpisode:
        length = table.num_rows
        values: dict[str, Any] = {}
        for key, feature in self.features.items():
            if feature["dtype"] == "video":
                path, start = self._video(key, index)
                values[key] = read_frames(path, start, length, self.rate)
            else:
                values[key] = self._values(feature, table.column(key))
        tasks = [self._tasks[i] for i in table.column("task_index").to_pylist()]
        return LeRobotEpisode(index, length, tasks, values, self._rows.get(index, {}))

    def _values(self, feature: dict[str, Any], column: Any) -> Any:
        if feature["dtype"] == "image":
            return [self._picture(cell) for cell in column.to_pylist()]
        if feature["dtype"] == "string":
            return [str(text).encode() for text in column.to_pylist()]
        return np.asarray(column.to_pylist())

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
        path = self._folder / (layout.VIDEO if self._latest else layout.VIDEO_2).format(video_key=key, **place)
        return _inside(self._folder, path), start


def _inside(folder: Path, path: Path) -> Path:
    """`path`, unless it leads out of the data set."""
    if folder.resolve() not in path.resolve().parents:
        raise DatasetError(f"{folder} names a file outside of itself: {path}.")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `DatasetError` if there is none."""
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
