"""What every import has in common: a source that hands its episodes over one by one, and the data set made of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from rldg.data.example import Columns, encode
from rldg.data.exchange.folder import exchange
from rldg.data.writer import DatasetWriter


@dataclass(frozen=True)
class Source:
    """Foreign episodes in the columns of an RLDS record.

    `notes` are sentences for the user: what was guessed, converted or is missing. They may grow while the episodes
    are read.
    """

    features: dict[str, Any]  # the content of a `features.json`
    splits: Mapping[str, Iterator[Columns]]
    total: int | None = None  # episodes, if known beforehand
    notes: list[str] = field(default_factory=list)


class Importer(Protocol):
    """A foreign format with what the user had to say about it: a frozen dataclass."""

    def open(self, source: Path) -> Source:
        """Looks into a file or folder. Raises `DatasetError` if it is not of this format."""
        ...


def import_dataset(source: Path, out: Path, importer: Importer, *, overwrite: bool = False) -> dict[str, Any]:
    """Writes the episodes of a foreign data set to `out` as RLDS, one file per episode, and returns what it did.

    The source is only read. Interrupted, the same command starts afresh; finished, it returns what it found then.

    Returns:
        `episodes`, `steps`, and `notes`: sentences that say what was guessed, converted or left out.

    Raises:
        DatasetError: the source is broken or of another format, or `out` holds something else.
        StageError: `out` belongs to another import or is in use.
    """
    configuration = {"format": type(importer).__name__, **asdict(importer)}  # type: ignore[call-overload]
    with exchange(source, out, "data import", configuration, overwrite=overwrite) as current:
        if not current.finished:
            opened = importer.open(source)
            episodes = steps = 0
            with tqdm(total=opened.total, unit="episode", desc=out.name, dynamic_ncols=True) as bar:
                for split, records in opened.splits.items():
                    writer = DatasetWriter(out, split)
                    for index, columns in enumerate(records):
                        writer.write_record(index, encode(columns), opened.features)
                        episodes += 1
                        steps += next(len(values) for name, values in columns.items() if name.startswith("steps/"))
                        bar.update()
            current.result = {"episodes": episodes, "steps": steps, "notes": opened.notes}
    return current.result


def episode_flags(length: int) -> Columns:
    """`is_first` and `is_last` of an episode of `length` steps."""
    index = np.arange(length)
    return {"steps/is_first": index == 0, "steps/is_last": index == length - 1}


def contract_json(contract: Any) -> bytes:
    """An action contract as the episode metadata hold it."""
    return json.dumps(contract if isinstance(contract, dict) else asdict(contract)).encode()
