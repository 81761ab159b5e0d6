"""`subsample`: some episodes, drawn at random."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rldg.data.editing.draw import random_order
from rldg.data.editing.names import checked_names, grouped, value_of
from rldg.data.editing.source import Place, open_source
from rldg.data.editing.write import write_edit
from rldg.errors import DatasetError, UsageError


def subsample_dataset(
    folder: Path,
    out: Path,
    *,
    count: int | None = None,
    share: float | None = None,
    seed: int = 0,
    split: str = "",
    successes: bool = False,
    per: Sequence[str] = (),
    stratify: Sequence[str] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes `count` episodes of `folder`, or the share `share`, drawn at random, to `out`, in their old order.

    With the same seed, a smaller sample is part of a larger one.

    Args:
        folder: the data set to take from.
        out: the new data set.
        count: how many episodes; of each group if there is `per`.
        share: how many instead, 0 .. 1 of those that may be drawn, rounded.
        seed: another one draws another sample.
        split: which split to draw from; by default "train", or the only one. Others are kept whole.
        successes: draw from the successes only.
        per: names whose values make groups that are drawn from one by one, such as "task".
        stratify: names whose values keep their shares in the sample, to within one episode.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: neither count nor share, or both, or out of their bounds, or an unknown name.
        DatasetError: there are fewer than `count`, or nothing to draw from.
    """
    if (count is None) == (share is None):
        raise UsageError("A sample has either a count or a share.")
    if (count is not None and count < 1) or (share is not None and not 0 < share <= 1):
        raise UsageError(f"A sample has a count of at least 1 or a share in (0, 1], not {count or share}.")
    source = open_source(folder)
    split = source.split(split)
    pool = [place for place in source.places(split) if place.entry.success or not successes]
    stratify = checked_names(source, stratify)
    chosen: set[Place] = set()
    for group, members in grouped(pool, checked_names(source, per)).items():
        wanted = count if count is not None else round((share or 0) * len(members))
        if wanted > len(members):
            of = f" of {', '.join(map(str, group))}" if group else ""
            raise DatasetError(f"{folder} has only {len(members)} of the {wanted} episodes{of} asked for.")
        ordered = random_order(members, seed, lambda place: place.key, lambda place: value_of(place, stratify))
        chosen.update(ordered[:wanted])
    if not chosen:
        raise DatasetError(f"A sample of the {len(pool)} episodes of {folder} that may be drawn would be empty.")
    plan = {name: source.places(name) for name in source.splits}
    plan[split] = [place for place in pool if place in chosen]
    parameters = {
        "count": count, "share": share, "seed": seed, "split": split, "successes": successes, "per": list(per),
        "stratify": list(stratify),
    }  # fmt: skip
    return write_edit(out, "subsample", parameters, [source], plan, overwrite=overwrite)
