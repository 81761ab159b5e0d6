"""`filter`: the episodes that satisfy a condition."""

from pathlib import Path
from typing import Any

from rldg.data.editing.names import select
from rldg.data.editing.source import open_source
from rldg.data.editing.write import write_edit


def filter_dataset(folder: Path, where: str, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Writes the episodes of `folder` that satisfy `where` to `out`; each stays in its split.

    Args:
        folder: the data set to take from.
        where: a condition (`rldg.data.editing.expression`) over `rldg.data.editing.names.valid_names`.
        out: the new data set.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: the condition cannot be evaluated.
        DatasetError: no episode satisfies it.
    """
    source = open_source(folder)
    chosen = select(source, where)
    plan = {split: [place for place in chosen if place.split == split] for split in source.splits}
    return write_edit(out, "filter", {"where": where}, [source], plan, overwrite=overwrite)
