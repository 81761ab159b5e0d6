"""What learner and actors tell each other: a numbered round of episodes, its shares, and what came of them.

A round names its episodes by number, and an episode depends on its number and the round's weights alone. So it does
not matter how many actors share a round, nor whether one of them has to do its share again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rldg.errors import TrainingError
from rldg.specialists.arrays import Arrays, Tree, named_arrays, pack, part, prefixed, unpack
from rldg.specialists.replay import episodes, joined

KINDS = DEMONSTRATE, EXPLORE, TRY = "demonstrate", "explore", "try"
NUMBERS, TRANSITIONS = "numbers", "transitions."
ROUND = "round"
JUDGING = "judging."  # prefix of what a round tells actors of who judges; see `rldg.specialists.judging`


def demonstrations_request(first: int, count: int) -> Arrays:
    """Round 0: `count` demonstrations, numbered from `first`."""
    nothing = np.arange(0)
    return {ROUND: np.array(0), DEMONSTRATE: np.arange(first, first + count), EXPLORE: nothing, TRY: nothing}


def round_request(number: int, actor: Tree, candidate: Tree, explored: range, tried: range) -> Arrays:
    """Round `number`: the episodes in which `actor` explores, and those in which `candidate` is tried."""
    weights = prefixed("actor.", named_arrays(actor)) | prefixed("candidate.", named_arrays(candidate))
    numbers = {DEMONSTRATE: np.arange(0), EXPLORE: np.array(explored, np.int64), TRY: np.array(tried, np.int64)}
    return weights | numbers | {ROUND: np.array(number)}


@dataclass(frozen=True)
class Share:
    """What one actor does of a round; `content` is a packed request."""

    round: int
    index: int
    content: bytes = field(repr=False, compare=False)

    def __str__(self) -> str:
        """For messages."""
        return f"{self.round} (share {self.index + 1})"


def divide(request: Arrays, actors: int) -> list[Share]:
    """A share of the round for each of so many actors; those without episodes are left out."""
    number, shares = int(request[ROUND]), []
    for index in range(actors):
        own = {kind: request[kind][index::actors] for kind in KINDS}
        if any(map(len, own.values())):
            shares.append(Share(number, index, pack({**request, **own})))
    return shares


def merge(request: Arrays, answers: Sequence[bytes]) -> dict[str, Arrays]:
    """What came of the round by kind: its columns in the order of the episodes' numbers, whoever did which.

    Of trials, what comes after the first failure is left out. Raises `TrainingError` if an answer is of another round.
    """
    unpacked = [unpack(answer) for answer in answers]
    for answer in unpacked:
        if answer[ROUND] != request[ROUND]:
            raise TrainingError(f"Round {request[ROUND]} was answered as round {answer[ROUND]}.")
    merged = {kind: _merged([part(f"{kind}.", answer) for answer in unpacked]) for kind in KINDS}
    if merged[TRY] and not merged[TRY]["successes"].all():
        until = 1 + int(np.argmin(merged[TRY]["successes"]))
        merged[TRY] = {name: column[:until] for name, column in merged[TRY].items()}
    return merged


def _merged(parts: list[Arrays]) -> Arrays:
    parts = [columns for columns in parts if columns]
    if len(parts) < 2:
        return parts[0] if parts else {}
    order = np.argsort(np.concatenate([columns[NUMBERS] for columns in parts]))
    names = [name for name in parts[0] if not name.startswith(TRANSITIONS)]
    merged = {name: np.concatenate([columns[name] for columns in parts])[order] for name in names}
    steps = [episode for columns in parts for episode in episodes(part(TRANSITIONS, columns))]
    return merged | prefixed(TRANSITIONS, joined([steps[index] for index in order]) if steps else {})
