"""Random order that is the same on every machine and in every version: drawn from SHA-256, not from a generator."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")


def draw(seed: int, *of: Any) -> int:
    """A number of 64 random bits that follows from `seed` and what it is drawn for."""
    digest = hashlib.sha256(repr((seed, *of)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def random_order(
    items: Sequence[Item],
    seed: int,
    key: Callable[[Item], Hashable],
    stratum: Callable[[Item], Hashable] = lambda item: (),
) -> list[Item]:
    """`items` in random order, in which every beginning holds its share of each stratum, to within one item.

    Beginnings of different lengths are nested, so that a smaller sample is part of a larger one.

    Args:
        items: what to order.
        seed: another one gives another order.
        key: what tells an item from the others; its place among `items` does not matter.
        stratum: what an item is one of.
    """
    strata: defaultdict[Hashable, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: draw(seed, key(item))):
        strata[stratum(item)].append(item)
    # The k-th of n members stands at the fraction (k + 1/2) / n of the order; equals are ordered at random.
    placed = [
        ((rank + 0.5) / len(members), draw(seed, key(item), "tie"), item)
        for members in strata.values()
        for rank, item in enumerate(members)
    ]
    return [item for *_, item in sorted(placed, key=lambda place: place[:2])]
