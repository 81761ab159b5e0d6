"""`merge`: several data sets become one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rldg.data.editing.compatible import check_contracts, check_features, check_ids
from rldg.data.editing.draw import random_order
from rldg.data.editing.names import checked_names, grouped
from rldg.data.editing.source import Place, Source, open_source
from rldg.data.editing.write import write_edit
from rldg.errors import UsageError


def merge_datasets(
    folders: Sequence[Path],
    out: Path,
    *,
    equal_counts: bool = False,
    per: Sequence[str] = ("task",),
    seed: int = 0,
    repeated_ids: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes the episodes of all `folders`, in this order, to `out`: split to split of the same name.

    Args:
        folders: the data sets, two or more.
        out: the new data set.
        equal_counts: take the same number of episodes of each task, in each split as many as the rarest has there,
            drawn at random.
        per: the names whose values count as a task then.
        seed: of that draw.
        repeated_ids: allow episodes of the same `episode_id`.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: fewer than two data sets, one of them twice, or an unknown name.
        DatasetError: features or action contracts differ, or an episode stands twice.
    """
    if len(folders) < 2 or len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise UsageError("Merging takes two or more different data sets.")
    sources = [open_source(folder) for folder in folders]
    check_features(sources)
    check_contracts(sources)
    if not repeated_ids:
        check_ids(sources)
    splits = {split for source in sources for split in source.splits}
    plan = {
        split: [p for source in sources if split in source.splits for p in source.places(split)] for split in splits
    }
    parameters: dict[str, Any] = {"equal_counts": equal_counts}
    if equal_counts:
        parameters |= {"per": list(per), "seed": seed}
        for source in sources:
            checked_names(source, per)
        numbers = {source: number for number, source in enumerate(sources)}
        plan = {split: _balanced(places, per, seed, numbers) for split, places in plan.items()}
    return write_edit(out, "merge", parameters, sources, plan, overwrite=overwrite)


def _balanced(places: list[Place], per: Sequence[str], seed: int, numbers: dict[Source, int]) -> list[Place]:
    """As many of each group as the smallest has, in their old order."""
    groups = grouped(places, per).values()
    count = min(map(len, groups))
    chosen = {
        place
        for members in groups
        for place in random_order(members, seed, lambda place: (numbers[place.source], *place.key))[:count]
    }
    return [place for place in places if place in chosen]
