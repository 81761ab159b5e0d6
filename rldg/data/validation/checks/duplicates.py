"""Whether an episode stands in the set twice."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import Subject


@dataclass(frozen=True)
class Identity:
    """What makes an episode the same as another."""

    content: bytes  # digest of all numbers and pictures of its steps
    label: str  # its episode_id


def identity(subject: Subject) -> Identity:
    """Digest of the steps: a copy counts as one even when its metadata or instruction were changed."""
    digest = hashlib.blake2b(digest_size=16)
    for name, column in sorted(subject.steps.items()):
        if isinstance(column, np.ndarray):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(column).tobytes())
    for _, pictures in sorted(subject.pictures.items()):
        for picture in pictures:
            digest.update(picture.digest)
    return Identity(digest.digest(), str(subject.metadata.get("episode_id", "")))


def find_duplicates(found: Sequence[tuple[Place, Identity]]) -> Iterator[Finding]:
    """Copies, also across splits, where they make a validation split worthless; ids that two episodes share."""
    contents: dict[bytes, Place] = {}
    labels: dict[str, Place] = {}
    for place, this in found:
        first = contents.setdefault(this.content, place)
        if first is not place:
            across = f" of split '{first.split}'" if first.split != place.split else ""
            what = f"the episode repeats episode {first.episode}{across} ({first.file})"
            yield Finding("episode_duplicate", what, "every episode once", place)
        elif this.label and (other := labels.setdefault(this.label, place)) is not place:
            what = f"episode {other.episode} ({other.file}) has the same episode_id '{this.label}'"
            yield Finding("episode_id", what, "an id of its own for every episode", place, "warning")
