"""First pass: every source file is read once, and what leaves it is where each episode lies and where it shall go."""

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from rldg.data.example import Field, decode, flat_fields
from rldg.data.publishing.files import as_path, file_sha256, local_copy, read_json
from rldg.data.publishing.sources import read_features
from rldg.data.publishing.tasks import Task
from rldg.data.tfrecord import read_records
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
            try:
                _index_file(path, name, split, listed, fields, task, found)
            except DatasetError as error:
                fault = str(error).replace(str(path), name)
                if not task["skip_broken"]:
                    raise DatasetError(fault) from None
                found["broken"].append(fault)
            found["checksums"][name] = file_sha256(path)
    return found


def _index_file(
    path: Path, name: str, split: str, listed: int, fields: dict[str, Field], task: Task, found: dict[str, Any]
) -> None:
    found["records"][name] = 0
    for number, (offset, record) in enumerate(read_records(path)):
        found["records"][name] += 1
        try:
            columns = decode(record, fields)
        except DatasetError as error:
            fault = f"{name}: record {number}: {error}."
            if not task["skip_broken"]:
                raise DatasetError(fault) from None
            found["broken"].append(fault)
            continue
        if task["successes"] and not columns.get(_SUCCESS, True):
            found["failures"] += 1
            continue
        rank = rank_of(record, task["seed"])
        episode_id = columns.get(_ID, b"").decode(errors="replace")
        drawn = task["validation"] is not None
        into = split_of(episode_id or rank_of(record, 0), task["validation"], task["seed"]) if drawn else split
        steps = len(next(value for field, value in columns.items() if field.startswith("steps/")))
        found["references"].append(Reference(rank, into, name, offset, number, len(record), steps, episode_id))
    if found["records"][name] < listed:
        raise DatasetError(f"{name}: record {found['records'][name]} is missing; dataset_info.json lists {listed}.")


@lru_cache(maxsize=8)
def _fields(folder: str) -> dict[str, Field]:
    """What every record of a source has to hold."""
    fields = flat_fields(read_features(read_json(as_path(folder) / "features.json")))
    if not any(name.startswith("steps/") for name in fields):
        raise DatasetError(f"{folder} is not RLDS: its features hold no 'steps'.")
    return fields
