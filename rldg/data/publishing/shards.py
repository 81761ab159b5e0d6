"""Second pass: each shard is written by one task, straight from the sources, one record in memory at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from array_record.python.array_record_module import ArrayRecordWriter

from rldg.data.publishing.files import appearing_whole, as_path, file_sha256
from rldg.data.publishing.index import rank_of
from rldg.data.publishing.tasks import Task
from rldg.data.tfrecord import frame
from rldg.errors import DatasetError

_HEADER, _FOOTER = 12, 4  # bytes of a TFRecord around its content


def write_shard(task: Task) -> dict[str, Any]:
    """Writes the shard at the task's `path` and gives its `records`, `bytes` and `sha256`.

    The task lists `records` as (file, offset, number, bytes, rank), names the `file_format` and the `seed` of the
    ranks. Raises `DatasetError` if a record is no longer what the first pass found.
    """
    path = as_path(task["path"])
    with appearing_whole(path) as temporary:
        with _writer(temporary, task["file_format"]) as write:
            for reference in task["records"]:
                write(_record(*reference, seed=task["seed"]))
        return {
            "records": len(task["records"]),
            "bytes": temporary.stat().st_size,
            "sha256": file_sha256(temporary),
        }


def _record(file: str, offset: int, number: int, size: int, rank: str, *, seed: int) -> bytes:
    with as_path(file).open("rb") as source:
        source.seek(offset + _HEADER)
        record = source.read(size)
    if rank_of(record, seed) != rank:
        raise DatasetError(f"{file}: record {number} has changed since this publication began; start it afresh.")
    return record


@contextmanager
def _writer(path: Path, file_format: str) -> Iterator[Callable[[bytes], object]]:
    if file_format == "tfrecord":
        with open(path, "wb") as file:
            yield lambda record: file.write(frame(record))
        return
    writer = ArrayRecordWriter(str(path), "group_size:1")  # records apart, as TFDS writes them: each is read alone
    try:
        yield writer.write
    finally:
        writer.close()
