"""What a data card tells of the steps of a data set, gathered in one pass that keeps no step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from rldg.data.reader import Dataset, StoredEpisode
from rldg.data.views import with_columns

BINS = 41


@dataclass
class Survey:
    """Counts over all episodes."""

    edges: np.ndarray  # (n, BINS + 1) borders of the bins of each of the n numbers of an action
    actions: np.ndarray  # (n, BINS) steps in each bin
    interventions: int = 0  # steps on which a person had taken over
    episodes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (task, instruction) -> episodes
    successes: Counter[tuple[str, str]] = field(default_factory=Counter)


def survey(dataset: Dataset, action: str, bounds: tuple[Sequence[float], Sequence[float]]) -> Survey:
    """Goes through `dataset`; `bounds` are the least and the greatest value of each number of the column `action`."""
    low, high = np.asarray(bounds)
    margin = np.where(low == high, 0.5, 0.0)  # what never changes stands in the middle
    edges = np.linspace(low - margin, high + margin, BINS + 1, axis=1)
    counts = Survey(edges, np.zeros((len(edges), BINS), np.int64))
    wanted = [name for name in (action, "language_instruction", "is_intervention") if f"steps/{name}" in dataset.fields]
    episodes = with_columns(dataset, *wanted)
    for entry, episode in zip(
        episodes.entries, tqdm(episodes, desc="survey", unit="episode", delay=1, dynamic_ncols=True), strict=True
    ):
        kind = (str(entry.metadata.get("task", "")), _instruction(episode))
        counts.episodes[kind] += 1
        counts.successes[kind] += entry.success
        counts.interventions += int(np.sum(episode.steps.get("is_intervention", 0)))
        for number, values in enumerate(episode.steps[action].T):
            counts.actions[number] += np.histogram(values, edges[number])[0]
    return counts


def _instruction(episode: StoredEpisode) -> str:
    return next(filter(None, episode.steps.get("language_instruction", [])), "")
