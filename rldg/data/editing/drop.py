"""`drop`: all episodes but some, by their numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rldg.data.editing.source import Place, Source, open_source
from rldg.data.editing.write import write_edit
from rldg.errors import DatasetError, UsageError

_NUMBERS = re.compile(r"(?P<first>\d+)(-(?P<last>\d+))?", re.ASCII)


def drop_episodes(
    folder: Path, episodes: Sequence[str], out: Path, *, split: str = "", overwrite: bool = False
) -> dict[str, Any]:
    """Writes `folder` without the episodes of these numbers to `out`; what follows them moves up.

    Args:
        folder: the data set to take from.
        episodes: numbers, and ranges such as "10-20" that include both ends.
        out: the new data set.
        split: where the numbers count; by default "train", or the only split. Others are kept whole.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: not numbers, or of no episode.
        DatasetError: none would be left.
    """
    source = open_source(folder)
    dropped = set(numbered(source, episodes, split))
    if len(dropped) == len(source):
        raise DatasetError(f"Dropping all {len(source)} episodes of {folder} leaves no data set.")
    plan = {name: [place for place in source.places(name) if place not in dropped] for name in source.splits}
    parameters = {"episodes": list(episodes), "split": source.split(split)}
    return write_edit(out, "drop", parameters, [source], plan, overwrite=overwrite)


def numbered(source: Source, episodes: Sequence[str], split: str = "") -> list[Place]:
    """The places that numbers and ranges such as "10-20" mean in a split. Raises `UsageError` for what means none."""
    places = source.places(source.split(split))
    chosen: dict[Place, None] = {}
    for text in episodes:
        match = _NUMBERS.fullmatch(text)
        if not match:
            raise UsageError(f"'{text}' is neither an episode's number nor a range such as 10-20.")
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not first <= last < len(places):
            raise UsageError(f"{source.folder} has episodes 0 to {len(places) - 1} in '{places[0].split}', not {text}.")
        chosen |= dict.fromkeys(places[first : last + 1])
    return list(chosen)
