"""`choose`: the best episodes by some measure, such as the fastest or the most diverse, in place of a random sample."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from rldg.data.editing.names import checked_names, grouped
from rldg.data.editing.source import Place, open_source
from rldg.data.editing.write import write_edit
from rldg.data.views import with_columns
from rldg.errors import DatasetError, UnknownNameError, UsageError

POINTS = 16  # of a path, evenly spaced in time
ARM = 0.1  # metres: a turn by one radian counts as much as a way of this length
_POSES = ("observation/tcp_in_target", "observation/tcp_pose")  # the first of these that there is


def choose_dataset(
    folder: Path,
    by: str,
    out: Path,
    *,
    count: int | None = None,
    share: float | None = None,
    per: Sequence[str] = ("task",),
    split: str = "",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes `count` successes of `folder`, or the share `share` of them, chosen by a measure, in their old order.

    Args:
        folder: the data set to take from.
        by: one of `CHOOSERS`: "fastest" takes those of the fewest steps, "diverse" those whose paths differ most.
        out: the new data set.
        count: how many episodes of each group.
        share: how many instead, as a share of each group's successes, 0 .. 1, rounded.
        per: names whose values make groups that are chosen from one by one.
        split: which split to choose from; by default "train", or the only one. Others are kept whole.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UnknownNameError: there is no such measure, name or split.
        UsageError: neither count nor share, or both, or out of their bounds.
        DatasetError: a group has fewer than `count` successes, nothing would be chosen, or no path is recorded.
    """
    if by not in CHOOSERS:
        raise UnknownNameError("measure to choose episodes by", by, CHOOSERS)
    if (count is None) == (share is None):
        raise UsageError("A choice has either a count or a share.")
    if (count is not None and count < 1) or (share is not None and not 0 < share <= 1):
        raise UsageError(f"A choice has a count of at least 1 or a share in (0, 1], not {count or share}.")
    source = open_source(folder)
    split = source.split(split)
    pool = [place for place in source.places(split) if place.entry.success]
    chosen: set[Place] = set()
    for members in grouped(pool, checked_names(source, per)).values():
        wanted = count if count is not None else round((share or 0) * len(members))
        if wanted > len(members):
            raise DatasetError(f"{folder} has a group of only {len(members)} of the {wanted} successes asked for.")
        chosen.update(CHOOSERS[by](members)[:wanted])
    if not chosen:
        raise DatasetError(f"A choice among the {len(pool)} successes of {folder} would be empty.")
    plan = {name: source.places(name) for name in source.splits}
    plan[split] = [place for place in pool if place in chosen]
    parameters = {"by": by, "count": count, "share": share, "per": list(per), "split": split}
    return write_edit(out, "choose", parameters, [source], plan, overwrite=overwrite)


def fastest_first(places: Sequence[Place]) -> list[Place]:
    """By their number of steps; those of the same keep their order."""
    return sorted(places, key=lambda place: place.entry.length)


def most_diverse_first(places: Sequence[Place]) -> list[Place]:
    """The most ordinary one first, then always the one that is farthest from all before it.

    Every beginning then covers the paths about as well as so many can: the farthest-point order, whose beginnings are
    within twice the smallest covering radius (Gonzalez, 1985; as core-sets, Sener and Savarese, 2018).
    """
    paths = np.stack([_path(place) for place in places])
    apart = np.linalg.norm(paths - paths.mean(axis=0), axis=1)
    order = [int(apart.argmin())]
    nearest = np.linalg.norm(paths - paths[order[0]], axis=1)
    while len(order) < len(places):
        nearest[order] = -1
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(paths - paths[order[-1]], axis=1))
    return [places[number] for number in order]


def _path(place: Place) -> np.ndarray:
    """Where the tool was, at `POINTS` moments of the episode: positions [m] and rotation vectors [rad] times `ARM`."""
    dataset = place.source.splits[place.split]
    name = next((name for name in _POSES if f"steps/{name}" in dataset.fields), "")
    if not name:
        raise DatasetError(f"{place.source.folder} holds no {' or '.join(_POSES)}, so its paths are unknown.")
    poses = with_columns(dataset, name)[place.episode].steps[name]
    moments = np.linspace(0, len(poses) - 1, POINTS).round().astype(int)
    turns = Rotation.from_quat(poses[moments, 3:]).as_rotvec()
    return np.concatenate([poses[moments, :3], ARM * turns], axis=1).ravel()


CHOOSERS: dict[str, Callable[[Sequence[Place]], list[Place]]] = {
    "fastest": fastest_first,
    "diverse": most_diverse_first,
}
