"""RLDS to LeRobot 3.0: numbers in Parquet, pictures in MP4, and a note beside them that leads all the way back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rldg.data.example import Columns, Field
from rldg.data.exchange import lerobot_format as layout
from rldg.data.exchange.extras import required
from rldg.data.exchange.lerobot_stats import Summary, merged, picture_summary, plain, summary
from rldg.data.exchange.selection import STEPS, control_rate, described, records
from rldg.data.exchange.video import LARGEST_CRF, PIXELS, Codec, VideoFile
from rldg.data.images import decode_image
from rldg.data.reader import Dataset, EncodedImages
from rldg.data.writer import write_durably
from rldg.env.types import STATE_PARTS, STATE_SIZE
from rldg.errors import UnknownNameError, UsageError

_SPOKEN = "language_instruction"  # LeRobot's "task"
_FLUSHED = 100  # episodes whose rows are held back to fill a row group
_NAMES = {
    7: ["x", "y", "z", "rx", "ry", "rz", "gripper"],
    STATE_SIZE: [f"{part}.{i}" for part, size in STATE_PARTS.items() for i in range(size)],
}


@dataclass(frozen=True)
class LeRobotExport:
    """Exports to LeRobot 3.0.

    Args:
        fps: control steps per second; by default what the episodes' action contract says.
        action: column that becomes LeRobot's `action`.
        images: "video" (MP4) or "embedded": the encoded pictures as they are, in Parquet, without any loss.
        codec: of the video.
        crf: quality of the video; lower is better and larger.
    """

    fps: float | None = None
    action: str = "action"
    images: Literal["video", "embedded"] = "video"
    codec: Codec = "h264"
    crf: int = 18

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"There are between 0 and 1000 control steps per second, not {self.fps}.")
        if not 0 <= self.crf <= LARGEST_CRF[self.codec]:
            raise UsageError(f"crf is between 0 and {LARGEST_CRF[self.codec]} for {self.codec}, not {self.crf}.")

    def write(self, splits: dict[str, Dataset], out: Path, advance: Callable[[], Any]) -> dict[str, Any]:
        """Writes every split, one after the other; `info.json`, without which nothing loads, comes last."""
        dataset = next(dataset for dataset in splits.values() if len(dataset))
        if STEPS + self.action not in dataset.fields:
            names = (name.removeprefix(STEPS) for name in dataset.fields if name.startswith(STEPS))
            raise UnknownNameError("action column", self.action, names)
        rate = self.fps or control_rate(dataset)
        if rate is None:
            raise UsageError("The episodes do not say how many control steps there are per second; pass --fps.")
        writer = _Writer(self, dataset, rate, out)
        ranges = {}
        for name, part in splits.items():
            first = writer.episodes
            for record in records(part):
                writer.add(record)
                advance()
            if writer.episodes > first:
                ranges[name] = f"{first}:{writer.episodes}"
        return writer.close(ranges)


class _Writer:
    """The open files of an export, and what has to be written at its end."""

    def __init__(self, options: LeRobotExport, dataset: Dataset, rate: float, out: Path) -> None:
        self._arrow: Any = required("pyarrow", "lerobot")
        self._options, self._rate, self._out = options, rate, out
        self._described = described(dataset)
        steps = {n.removeprefix(STEPS): f for n, f in dataset.fields.items() if n.startswith(STEPS)}
        self._spoken = _SPOKEN in steps
        steps.pop(_SPOKEN, None)
        self._fields: dict[str, tuple[str, Field]] = {
            layout.key_of(name, picture=field.kind == "image", action=options.action): (name, field)
            for name, field in sorted(steps.items())
        }
        self._cameras = [key for key, (_, field) in self._fields.items() if field.kind == "image"]
        self._filmed = self._cameras if options.images == "video" else []
        self.episodes = self._frames = self._file = 0
        self._tasks: dict[str, int] = {}
        self._statistics: dict[str, Summary] = {}
        self._rows: list[dict[str, Any]] = []
        self._rows_file: layout.ParquetFile | None = None
        self._data: layout.ParquetFile | None = None
        self._videos: dict[str, VideoFile] = {}

    def add(self, record: Columns) -> None:
        """Writes one episode."""
        length = len(record[STEPS + self._options.action])
        if self._data is not None and self._full():
            self._close_files()
            self._file += 1
        texts = [text.decode(errors="replace") for text in record[STEPS + _SPOKEN]] if self._spoken else [""] * length
        for text in texts:
            self._tasks.setdefault(text, len(self._tasks))
        index = {
            "timestamp": (np.arange(length) / self._rate).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, self.episodes),
            "index": self._frames + np.arange(length),
            "task_index": np.array([self._tasks[text] for text in texts]),
        }
        table = {key: self._arrow.array(values) for key, values in index.items()}
        statistics = {key: summary(values[:, None]) for key, values in index.items()}
        row = {
            "episode_index": self.episodes,
            "tasks": list(dict.fromkeys(texts)),
            "length": length,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
            **{f"data/{name}": value for name, value in layout.place(self._file).items()},
            **{f"meta/episodes/{name}": value for name, value in layout.place(0).items()},
        }
        for key, (column, field) in self._fields.items():
            values = record[STEPS + column]
            if field.kind == "image":
                pictures: Any = EncodedImages(values)
                if key in self._filmed:
                    pictures = [decode_image(content) for content in values]
                    row |= self._film(key, pictures, field)
                statistics[key] = picture_summary(pictures)
            elif field.kind == "number":
                statistics[key] = summary(np.reshape(values, (length, -1)))
            if key not in self._filmed:
                table[key] = self._array(values, field)
        for name, value in record.items():
            if not name.startswith(STEPS):
                row[name] = value.decode(errors="replace") if isinstance(value, bytes) else value
        for key, found in statistics.items():
            self._statistics[key] = merged(self._statistics.get(key), found)
        row |= {f"stats/{key}/{n}": v for key, found in plain(statistics).items() for n, v in found.items()}
        content = self._arrow.table(table)
        if self._data is None:
            self._data = layout.ParquetFile(self._path(layout.DATA), content.schema)
        self._data.write(content)
        self._rows.append(row)
        self.episodes += 1
        self._frames += length
        if len(self._rows) == _FLUSHED:
            self._flush()

    def _film(self, key: str, pictures: list[np.ndarray], field: Field) -> dict[str, Any]:
        """Adds an episode's frames to the video of a camera; returns where they are."""
        if key not in self._videos:
            path = self._path(layout.VIDEO, video_key=key)
            self._videos[key] = VideoFile(path, self._rate, field.shape, self._options.codec, self._options.crf)
        video = self._videos[key]
        first = video.frames
        for picture in pictures:
            video.write(picture)
        place = layout.place(self._file) | {
            "from_timestamp": first / self._rate,
            "to_timestamp": video.frames / self._rate,
        }
        return {f"videos/{key}/{name}": value for name, value in place.items()}

    def _array(self, values: Any, field: Field) -> Any:
        """A step column as an Arrow array; what has several dimensions is laid out flat."""
        arrow = self._arrow
        if field.kind == "image":
            return arrow.array([{"bytes": content, "path": None} for content in values], _picture_type(arrow))
        if field.kind == "text":
            return arrow.array([text.decode(errors="replace") for text in values], arrow.string())
        flat, size = arrow.array(np.ascontiguousarray(values).reshape(-1)), prod(field.shape)
        return flat if size == 1 else arrow.FixedSizeListArray.from_arrays(flat, size)

    def _path(self, template: str, **names: str) -> Path:
        return self._out / template.format(**layout.place(self._file), **names)

    def _full(self) -> bool:
        assert self._data is not None
        films = max((video.size for video in self._videos.values()), default=0)
        return self._data.size > layout.DATA_MB << 20 or films > layout.VIDEO_MB << 20

    def _close_files(self) -> None:
        for file in (self._data, *self._videos.values()):
            if file is not None:
                file.close()
        self._data, self._videos = None, {}

    def _flush(self) -> None:
        table = self._arrow.Table.from_pylist(self._rows)
        if self._rows_file is None:
            path = self._out / layout.EPISODES.format(**layout.place(0))
            self._rows_file = layout.ParquetFile(path, table.schema)
        self._rows_file.write(table)
        self._rows = []

    def close(self, ranges: dict[str, str]) -> dict[str, Any]:
        """Completes the data set. `ranges` says which episodes are in which split."""
        self._close_files()
        if self._rows:
            self._flush()
        if self._rows_file is not None:
            self._rows_file.close()
        layout.write_tasks(self._out / layout.TASKS, self._tasks)
        rate = int(self._rate) if self._rate == int(self._rate) else self._rate
        info = {
            "codebase_version": layout.VERSION,
            "robot_type": "franka",
            "total_episodes": self.episodes,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.FILES_PER_CHUNK,
            "data_files_size_in_mb": layout.DATA_MB,
            "video_files_size_in_mb": layout.VIDEO_MB,
            "fps": rate,
            "splits": ranges,
            "data_path": layout.DATA,
            "video_path": layout.VIDEO if self._filmed else None,
            "features": {key: self._feature(key, *self._fields[key]) for key in self._fields}
            | {key: {"dtype": dtype, "shape": [1], "names": None} for key, dtype in layout.INDEX.items()},
        }
        sidecar = {
            "what": "Which RLDS columns the keys are, and their features.json: `rldg data import` reads it.",
            "columns": {key: column for key, (column, _) in self._fields.items()},
            "features": self._described,
        }
        for name, content in ((layout.STATS, plain(self._statistics)), (layout.SIDECAR, sidecar), (layout.INFO, info)):
            write_durably(self._out / name, json.dumps(content, indent=4, ensure_ascii=False).encode())
        return {"episodes": self.episodes, "steps": self._frames, "fps": rate, "keys": sorted(self._fields)}

    def _feature(self, key: str, column: str, field: Field) -> dict[str, Any]:
        """What `info.json` says of a key."""
        if field.kind == "image":
            height, width, channels = field.shape
            feature = {"dtype": "image", "shape": [height, width, channels], "names": ["height", "width", "channels"]}
            video = {
                "video.height": height,
                "video.width": width,
                "video.channels": channels,
                "video.codec": self._options.codec,
                "video.pix_fmt": PIXELS,
                "video.fps": self._rate,
                "video.is_depth_map": False,
                "has_audio": False,
            }
            return feature | {"dtype": "video", "info": video} if key in self._filmed else feature
        if field.kind == "text":
            return {"dtype": "string", "shape": [1], "names": None}
        size = prod(field.shape)
        named = _NAMES.get(size) if key in ("action", "observation.state") else None
        return {"dtype": field.dtype.name, "shape": [size], "names": named}


def _picture_type(arrow: Any) -> Any:
    return arrow.struct({"bytes": arrow.binary(), "path": arrow.string()})
