"""LeRobot's data set format (codebase version 3.0): names of files and keys, and tables.

Source: huggingface/lerobot, src/lerobot/datasets/utils.py.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldg.data.exchange.extras import required

VERSION = "v3.0"
INFO, STATS, SIDECAR, TASKS = "meta/info.json", "meta/stats.json", "meta/rldg.json", "meta/tasks.parquet"
CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA, EPISODES = f"data/{CHUNK}.parquet", f"meta/episodes/{CHUNK}.parquet"
VIDEO = f"videos/{{video_key}}/{CHUNK}.mp4"
VIDEO_2 = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"  # of versions 2.0 and 2.1
FILES_PER_CHUNK = 1000
DATA_MB, VIDEO_MB = 100, 200  # from which on a file is followed by the next

# What LeRobot numbers its frames by.
INDEX = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}

# Columns of RLDS that LeRobot has a key of its own for. Whatever else begins with "action" or "observation" its
# policies would take for further actions and inputs, so all the rest stands under a prefix.
_SHARED = {"observation/state": "observation.state", "reward": "next.reward", "is_last": "next.done"}
_PREFIX, _IMAGES = "rldg.", "observation.images."


def key_of(column: str, *, picture: bool, action: str) -> str:
    """LeRobot's key for a step column such as "observation/image_wrist_1"."""
    if picture:
        return _IMAGES + column.removeprefix("observation/").removeprefix("image_").replace("/", ".")
    if column == action:
        return "action"
    return _SHARED.get(column) or _PREFIX + column.replace("/", ".")


def column_of(key: str, *, picture: bool) -> str:
    """The step column for a key of LeRobot's, of whatever making."""
    if picture:
        return "observation/image_" + key.removeprefix(_IMAGES).removeprefix("observation.").replace(".", "_")
    known = {"action": "action"} | {theirs: ours for ours, theirs in _SHARED.items()}
    return known.get(key) or key.removeprefix(_PREFIX).replace(".", "/")


def place(number: int) -> dict[str, int]:
    """Chunk and file of the file with this number."""
    return {"chunk_index": number // FILES_PER_CHUNK, "file_index": number % FILES_PER_CHUNK}


class ParquetFile:
    """A table written row group by row group; the file carries its name once `close` has been called."""

    def __init__(self, path: Path, schema: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._temporary = path, path.with_name(path.name + ".tmp")
        self._writer = required("pyarrow.parquet", "lerobot").ParquetWriter(self._temporary, schema)

    def write(self, table: Any) -> None:
        """Adds a `pyarrow.Table` as one row group."""
        self._writer.write_table(table)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._temporary.stat().st_size

    def close(self) -> None:
        """Completes the file."""
        self._writer.close()
        self._temporary.replace(self._path)


def write_tasks(path: Path, tasks: Mapping[str, int]) -> None:
    """Writes instruction -> index the way pandas writes a frame with the instructions as its index."""
    arrow = required("pyarrow", "lerobot")

    def described(name: str, kind: str, numpy_type: str) -> dict[str, Any]:
        return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}

    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [described("task_index", "int64", "int64"), described("task", "unicode", "object")],
        "creator": {"library": "pyarrow", "version": arrow.__version__},
        "pandas_version": "2.2.0",
    }
    columns = {"task_index": arrow.array(tasks.values(), arrow.int64()), "task": arrow.array(tasks, arrow.string())}
    table = arrow.table(columns).replace_schema_metadata({"pandas": json.dumps(pandas)})
    file = ParquetFile(path, table.schema)
    file.write(table)
    file.close()
