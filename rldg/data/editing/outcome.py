"""An outcome as an operator judged it, in the columns that say so (docs/data.md)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rldg.data.editing.source import Place, Source
from rldg.data.example import Columns
from rldg.errors import DatasetError, UsageError

TIME_OUT = "time_out"


@dataclass(frozen=True)
class Outcome:
    """Success, or failure for a reason."""

    success: bool
    reason: str = ""  # why it failed: "time_out", "jam", "force_limit", or in the operator's words

    def __post_init__(self) -> None:
        if self.success == bool(self.reason):
            raise UsageError("A failure has a reason, such as jam or time_out, and a success has none.")

    def columns(self, length: int) -> Columns:
        """The columns of an episode of `length` steps that ended so, by their flat names.

        The last step earns the reward 1 on success, else 0. It is terminal unless time ran out, and `discount` is 0
        where it is.
        """
        last = np.arange(length) == length - 1
        terminal = last & (self.reason != TIME_OUT)
        return {
            "steps/reward": (last & self.success).astype(np.float32),
            "steps/is_terminal": terminal,
            "steps/discount": 1.0 - terminal.astype(np.float32),
            "episode_metadata/success": self.success,
            "episode_metadata/failure_reason": self.reason.encode(),
            "episode_metadata/judged_by": b"operator",
        }


def outcome_changes(source: Source, outcome: Outcome) -> Callable[[Place], Columns]:
    """What is written anew of an episode that ended so. Raises `DatasetError` naming the columns that there are not."""
    missing = [name for name in outcome.columns(1) if name not in source.dataset.fields]
    if missing:
        raise DatasetError(f"{source.folder} cannot hold an outcome: it lacks {', '.join(missing)}.")
    return lambda place: outcome.columns(place.entry.length)
