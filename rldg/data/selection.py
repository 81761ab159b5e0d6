"""Which episodes are fit to train on, by what their steps hold: the filters of Octo's loader."""

from dataclasses import replace

import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.data.reader import Dataset
from rldg.data.views import column_values


def labelled(dataset: Dataset, language: str = "language_instruction") -> Dataset:
    """The episodes that say anywhere what is to be done (Octo's `skip_unlabeled`).

    Raises `DatasetError` if there is no column `language`.
    """
    return _kept(dataset, [any(texts) for texts in column_values(dataset, language)])


def within(dataset: Dataset, most: float, column: str = "action", scale: Normalisation | None = None) -> Dataset:
    """The episodes all of whose numbers in `column` lie within +- `most` (Octo's `max_action` and `max_proprio`).

    Given a `scale`, the normalised ones. Raises `DatasetError` if there is no such column.
    """
    episodes = column_values(dataset, column)
    return _kept(dataset, [bool((np.abs(scale.normalise(v) if scale else v) <= most).all()) for v in episodes])


def _kept(dataset: Dataset, keep: list[bool]) -> Dataset:
    return replace(dataset, entries=tuple(entry for entry, kept in zip(dataset.entries, keep, strict=True) if kept))
