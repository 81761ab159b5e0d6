"""First pass: every source file is read once, and what leaves it is where each episode lies and where it shall go."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from rldg.data.description import INFO, read_features
from rldg.data.example import Columns, Field, decode, flat_fields
from rldg.data.publishing.files import as_path, file_sha256, local_copy
from rldg.data.publishing.tasks import Task
from rldg.data.tfrecord import scan_records
from rldg.errors import DatasetError

_SUCCESS = "episode_metadata/success"
_ID = "episode_metadata/episode_id"


class Reference(NamedTuple):
    """An episode without its content: some 200 bytes, in place of half a megabyte."""

    rank: str  # its place in the shuffled split: a digest of the seed and the record
    split: str
    file: str
    offset: int  # bytes
    record: int  # its place in the file
    size: int  # bytes of the record
    steps: int
    episode_id: str  # empty for sets without metadata


def rank_of(record: bytes, seed: int) -> str:
    """Where a record comes in the shuffled split. It depends on its content alone, not on where the record lay."""
    return blake2b(record, digest_size=16, key=b"rldg order %d" % seed).hexdigest()


def split_of(episode_id: str, validation: float, seed: int) -> str:
    """The split of an episode, whatever others there are: "val" for the share `validation` of all, else "train"."""
    digest = blake2b(episode_id.encode(), digest_size=8, key=b"rldg split %d" % seed).digest()
    return "val" if int.from_bytes(digest, "big") < validation * 2**64 else "train"


def index_files(task: Task) -> dict[str, Any]:
    """Reads the record files of one task, checks every record, and gives the references of those to publish.

    The task names the `files` (path, split, records listed), the `folder` of the source, and of the publication
    `successes`, `validation`, `seed` and `skip_broken`. The result holds `references`, the number of `failures` left
    out, one sentence for each `broken` place, and of each file (by its path) the `checksums` and number of `records`.

    Raises `DatasetError` naming file and record if one is broken or lacks a field, unless those are to be skipped.
    """
    fields = _fields(task["folder"])
    found: dict[str, Any] = {"references": [], "failures": 0, "broken": [], "checksums": {}, "records": {}}
    for name, split, listed in task["files"]:
        with local_copy(as_path(name)) as path:
            stretches = list(_references(path, name, split, fields, task))
            found["checksums"][name] = file_sha256(path)
        found["records"][name] = len(stretches)
        if len(stretches) < listed:
            stretches.append(f"{name}: record {len(stretches)} is missing; {INFO} lists {listed}.")
        faults = [fault for fault in stretches if isinstance(fault, str)]
        if faults and not task["skip_broken"]:
            raise DatasetError(faults[0])
        found["broken"] += faults
        found["failures"] += stretches.count(None)
        found["references"] += [reference for reference in stretches if isinstance(reference, Reference)]
    return found


def _references(
    path: Path, name: str, split: str, fields: dict[str, Field], task: Task
) -> Iterator[Reference | str | None]:
    """Of each record in a file its reference, or what is wrong with it, or nothing for a failure to be left out."""
    for record in scan_records(path):
        if record.fault:
            yield f"{name}: record {record.number} {record.fault}."
            continue
        try:
            columns, steps = _checked(record.content, fields)
        except DatasetError as error:
            yield f"{name}: record {record.number}: {error}."
            continue
        if task["successes"] and not columns.get(_SUCCESS, True):
            yield None
            continue
        rank = rank_of(record.content, task["seed"])
        episode_id = columns.get(_ID, b"")
        episode_id = episode_id.decode(errors="replace") if isinstance(episode_id, bytes) else str(episode_id)
        if task["validation"] is not None:
            into = split_of(episode_id or rank_of(record.content, 0), task["validation"], task["seed"])
        else:
            into = split
        yield Reference(rank, into, name, record.offset, record.number, len(record.content), steps, episode_id)


def _checked(record: bytes, fields: dict[str, Field]) -> tuple[Columns, int]:
    """Columns and number of steps. Raises `DatasetError` if a field is missing, of other shape, or of other length."""
    columns = decode(record, fields)
    lengths = {name: len(column) for name, column in columns.items() if name.startswith("steps/")}
    steps = next(iter(lengths.values()))
    other = next((name for name, length in lengths.items() if length != steps), "")
    if other or not steps:
        raise DatasetError(f"'{other or next(iter(lengths))}' holds {lengths.get(other, 0)} of {steps} steps")
    return columns, steps


@lru_cache(maxsize=8)
def _fields(folder: str) -> dict[str, Field]:
    """What every record of a source has to hold."""
    fields = flat_fields(read_features(as_path(folder)))
    if not any(name.startswith("steps/") for name in fields):
        raise DatasetError(f"{folder} is not RLDS: its features hold no 'steps'.")
    return fields
