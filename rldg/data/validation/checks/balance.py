"""Whether the tasks, and successes and failures, are there in numbers that one can train on."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import Subject

UNEQUAL = 1.5  # successes of the most frequent task over those of the rarest
RARE = 0.1  # share of successes below which a set hardly holds any
ENOUGH = 5  # episodes from which on a share means something


def outcome(subject: Subject) -> tuple[str, bool]:
    """Task and success; a set without the label is taken to hold successes only."""
    return subject.task, bool(np.all(subject.metadata.get("success", True)))


def check_balance(found: Sequence[tuple[Place, tuple[str, bool]]]) -> Iterator[Finding]:
    """Warnings only. Counted per split: training takes the successes of all tasks alike."""
    for split in dict.fromkeys(place.split for place, _ in found):
        outcomes = [this for place, this in found if place.split == split]
        successes = Counter({task: 0 for task, _ in outcomes})
        successes.update(task for task, success in outcomes if success)
        (most, high), (least, low) = successes.most_common()[0], successes.most_common()[-1]
        if high >= ENOUGH and high > UNEQUAL * low:
            what = f"{high} successes of '{most}' but {low} of '{least}'"
            yield Finding("balance_tasks", what, "equally many of every task", Place(split), "warning")
        total = sum(successes.values())
        if len(outcomes) >= ENOUGH and total < RARE * len(outcomes):
            what = f"only {total} of {len(outcomes)} episodes are successes"
            yield Finding("balance_outcomes", what, "enough successes to train on", Place(split), "warning")
