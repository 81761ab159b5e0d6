"""The episodes of one or more data sets, under the numbers by which the page asks for them."""

import re
from collections.abc import Container, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from rldg import __version__
from rldg.data.view.episode import episode_frames, episode_json
from rldg.data.view.sidecars import read_documents, read_findings
from rldg.data.view.source import Source, open_sources
from rldg.errors import DatasetError, UsageError

Row = dict[str, Any]


class Catalogue:
    """What there is to see: every split of every folder is a source. Only metadata is kept in memory.

    Args:
        folders: data sets.
        numbers: which episodes of each split to list, or None for all.

    Raises:
        DatasetError: a folder holds no data set.
    """

    def __init__(self, folders: Sequence[Path], numbers: Container[int] | None = None) -> None:
        self._sources = [source for folder in folders for source in open_sources(folder)]
        self._numbers = numbers

    def index(self) -> dict[str, Any]:
        """The table: `sources` (folder, split, what is known of the whole set) and one row per episode.

        A row holds `source` (index), `number` (place in the split, as in `rldg data show`), `steps`, `metadata` and
        `findings`; that of a record which cannot be read holds `number` None and `error`.
        """
        listed = [self._listing(i) for i in range(len(self._sources))]
        return {
            "version": __version__,
            "sources": [description for description, _ in listed],
            "episodes": [row for _, rows in listed for row in rows],
        }

    def episode(self, source: int, number: int) -> dict[str, Any]:
        """What `episode_json` says of an episode. Raises `DatasetError` if there is none or its record is broken."""
        return episode_json(self._source(source), number)

    def frames(self, source: int, number: int) -> bytes:
        """The episode's pictures, see `episode_frames`; raises the same."""
        return episode_frames(self._source(source), number)

    def _source(self, number: int) -> Source:
        if not 0 <= number < len(self._sources):
            raise DatasetError(f"There is no data set {number}.")
        return self._sources[number]

    def _listing(self, number: int) -> tuple[dict[str, Any], list[Row]]:
        """What is known of a source as a whole, and its rows; each finding is in one of both."""
        source = self._sources[number]
        rows = [
            _row(number, i, steps=entry.length, metadata=_plain(entry.metadata))
            for i, entry in enumerate(source.entries)
            if self._numbers is None or i in self._numbers
        ]
        general = []
        by_number = {row["number"]: row for row in rows}
        numbers = {(entry.file.name, entry.record): i for i, entry in enumerate(source.entries)}
        for finding in read_findings(source.folder, source.split):
            if finding["record"] is not None:
                finding["episode"] = numbers.get((finding["file"], finding["record"]))
            row = by_number.get(finding["episode"])
            (row["findings"] if row else general).append(finding)
        description = {
            "folder": str(source.folder),
            "split": source.split,
            "documents": read_documents(source.folder),
            "findings": general,
        }
        return description, rows + [_row(number, None, error=sentence) for sentence in source.broken]


def parse_numbers(text: str) -> Container[int] | None:
    """Episode numbers written like "0-9,12"; None, which means all, for "". Raises `UsageError` if it is neither."""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", text):
        raise UsageError(f"'{text}' does not name episodes; write numbers and ranges, such as 0-9,12.")
    return _Ranges([tuple(map(int, part.split("-"))) for part in text.split(",")])


class _Ranges:
    """Numbers and ranges of them, both ends included."""

    def __init__(self, ranges: Sequence[tuple[int, ...]]) -> None:
        self._ranges = ranges

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and any(ends[0] <= number <= ends[-1] for ends in self._ranges)


def _row(source: int, number: int | None, **more: Any) -> Row:
    return {"source": source, "number": number, "steps": 0, "metadata": {}, "findings": []} | more


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """Strict JSON knows neither infinities nor arrays; they become text."""
    return {name: value if _is_plain(value) else str(value) for name, value in sorted(metadata.items())}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))
