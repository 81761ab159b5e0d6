"""`split`: whole episodes set aside for validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rldg.data.editing.draw import random_order
from rldg.data.editing.names import checked_names, grouped, value_of
from rldg.data.editing.source import Place, open_source
from rldg.data.editing.write import write_edit
from rldg.errors import DatasetError, UsageError


def split_dataset(
    folder: Path,
    out: Path,
    *,
    validation: float,
    seed: int = 0,
    split: str = "",
    name: str = "val",
    together: Sequence[str] = (),
    stratify: Sequence[str] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes `folder` to `out` with the share `validation` of a split set aside as the split `name`.

    At least one episode, or group, goes to either side.

    Args:
        folder: the data set to divide.
        out: the new data set; it holds all episodes of the old one.
        validation: share of episodes to set aside, between 0 and 1.
        seed: another one divides otherwise.
        split: which split to divide; by default "train", or the only one. Others are kept whole.
        name: of the new split; "val" is the one that the loaders of Octo and OpenVLA look for.
        together: names, such as "task" and "seed", whose equal values keep episodes on the same side. Whole groups are
            set aside until the next one would lead further away from the share.
        stratify: names whose values have the same shares on both sides, to within one episode or group.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: the share is out of bounds, the split exists, or a name is unknown.
        DatasetError: there is only one episode, or only one group.
    """
    if not 0 < validation < 1:
        raise UsageError(f"The share set aside lies between 0 and 1, not at {validation}.")
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"A split is called by letters, digits and underscores, such as val, not '{name}'.")
    source = open_source(folder)
    split = source.split(split)
    if name in source.splits:
        raise UsageError(f"{folder} has a split '{name}' already; it holds {len(source.splits[name])} episodes.")
    stratify = checked_names(source, stratify)
    groups = list(grouped(source.places(split), checked_names(source, together) or ("episode",)).values())
    if len(groups) < 2:
        raise DatasetError(f"{folder} has nothing to divide in '{split}': all its episodes belong together.")
    ordered = random_order(
        groups,
        seed,
        key=lambda group: group[0].key,
        stratum=lambda group: frozenset(value_of(place, stratify) for place in group),
    )
    aside = set(_nearest(ordered, validation * len(source.places(split))))
    plan = {other: source.places(other) for other in source.splits}
    plan[name] = [place for place in plan[split] if place in aside]
    plan[split] = [place for place in plan[split] if place not in aside]
    parameters = {
        "validation": validation, "seed": seed, "split": split, "name": name, "together": list(together),
        "stratify": list(stratify),
    }  # fmt: skip
    return write_edit(out, "split", parameters, [source], plan, overwrite=overwrite)


def _nearest(groups: Sequence[list[Place]], wanted: float) -> list[Place]:
    """Places of whole groups, about `wanted` of them: those that lead nearer are taken in order, all but the last."""
    taken: list[list[Place]] = []
    count = 0
    for group in groups:
        if len(taken) < len(groups) - 1 and abs(count + len(group) - wanted) < abs(count - wanted):
            taken.append(group)
            count += len(group)
    taken = taken or [min(groups, key=len)]
    return [place for group in taken for place in group]
