"""`repair`: what is whole in a damaged data set, as a new data set."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.data.description import FEATURES, read_features, read_info
from rldg.data.example import Field, flat_fields
from rldg.data.shards import shard_dataset, shards
from rldg.data.tfrecord import Record, scan_records
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import read_subject
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from rldg.stage import file_hash, stage


@dataclass(frozen=True)
class Loss:
    """A stretch of a file that could not be saved."""

    file: str
    record: int  # its place in the file
    offset: int  # bytes
    size: int  # bytes
    why: str

    def __str__(self) -> str:
        return f"{self.file}, record {self.record} ({self.size} bytes from byte {self.offset} on): {self.why}"


def repair(folder: Path, out: Path, *, features_from: Path | None = None, progress: bool = False) -> dict[str, Any]:
    """Writes every whole episode of the data set in `folder` into a new one in `out`; `folder` stays as it is.

    Whole is a record with the right checksum that decodes, whose columns are equally long and whose pictures are whole.
    Records are copied byte for byte, in their order and split. Interrupted, the same call completes `out`.

    Args:
        folder: the damaged data set.
        out: folder of the new one.
        features_from: a data set of the same fields, for one whose own `features.json` is lost.
        progress: a progress bar on standard error.

    Returns:
        `episodes` saved and `lost`: for each stretch the members of a `Loss`, and `text`; kept in `out/stage.json`.

    Raises:
        DatasetError: the fields are nowhere to be read, no episode is whole, or `out` lies within `folder`.
        StageError: `out` holds something else, or is in use.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{out} lies within the damaged data set; choose another folder for the repaired one.")
    source = features_from or folder
    try:
        fields = flat_fields(read_features(source))
    except DatasetError as error:
        advice = "name a data set of the same fields with --features-from"
        raise DatasetError(f"{str(error).rstrip('.')}; {advice}.") from None
    features = json.loads((source / FEATURES).read_text(encoding="utf-8"))
    inputs = {"data": file_hash(folder), "features": file_hash(source / FEATURES)}
    with stage(out, "repair", {"folder": folder.resolve()}, inputs=inputs) as current:
        if current.finished:
            return current.result
        lost: list[Loss] = []
        saved = 0
        for split, files in shards(folder).items():
            writer = DatasetWriter(out, split, name=_name(folder))
            whole = _whole_records(list(files.values()), fields, lost)
            for index, record in enumerate(tqdm(whole, desc=split, unit="episode", disable=not progress)):
                saved += 1
                if index not in writer.indices:  # else an interrupted repair has written it
                    writer.write_record(index, record, features)
        if not saved:
            raise DatasetError(f"No episode in {folder} is whole; {lost[0] if lost else 'it has no record files'}.")
        current.result = {"episodes": saved, "lost": [asdict(loss) | {"text": str(loss)} for loss in lost]}
    return current.result


def _whole_records(files: list[Path], fields: Mapping[str, Field], lost: list[Loss]) -> Iterator[bytes]:
    """The records to keep, in their order; what is not kept is added to `lost`."""
    for path in files:
        try:
            for record in scan_records(path):
                if why := record.fault or _damage(record, fields):
                    lost.append(Loss(path.name, record.number, record.offset, record.size, why))
                else:
                    yield record.content
        except (DatasetError, OSError) as error:
            lost.append(Loss(path.name, 0, 0, 0, str(error).rstrip(".")))


def _damage(record: Record, fields: Mapping[str, Field]) -> str:
    """Why an intact record holds no whole episode; empty if it does."""
    found = read_subject(record.content, Place(), fields)
    if isinstance(found, Finding):
        return found.what
    broken = [picture.fault for pictures in found.pictures.values() for picture in pictures if picture.fault]
    return broken[0] if broken else ""


def _name(folder: Path) -> str:
    """The data set's name by its description, its files, or its folder (which the writer's default takes)."""
    try:
        name = read_info(folder).name
    except DatasetError:
        name = ""
    files = [path for found in shards(folder).values() for path in found.values()]
    return name or (shard_dataset(files[0]) if files else "")
