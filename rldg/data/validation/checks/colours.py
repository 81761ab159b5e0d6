"""Whether all episodes of a camera have their channels in one order (RGB, not BGR)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.subject import Subject

CHROMA = 4.0  # grey levels by which red and blue must differ for their order to matter
MARGIN = 0.6  # a picture is swapped if that brings it this much closer to the others, as a share of the distance


@dataclass(frozen=True, eq=False)
class Look:
    """How an episode begins: of each camera the first thumbnail, and the task it belongs to."""

    group: str
    thumbnails: dict[str, np.ndarray]


def first_look(subject: Subject) -> Look:
    """The first whole picture of each camera; scenes of one task begin alike."""
    whole = {name: [p for p in pictures if not p.fault] for name, pictures in subject.pictures.items()}
    return Look(subject.task, {name: pictures[0].thumbnail for name, pictures in whole.items() if pictures})


def compare_colours(found: Sequence[tuple[Place, Look]]) -> Iterator[Finding]:
    """Episodes of one task and camera whose colours fit the others' only with red and blue exchanged.

    Which order is right cannot be told from pictures alone: the minority is named. A set that is swapped as a whole
    is found by the check of the scene, where the scene can be rendered again.
    """
    groups: dict[tuple[str, str], list[tuple[Place, np.ndarray]]] = {}
    for place, look in found:
        for camera, thumbnail in look.thumbnails.items():
            groups.setdefault((look.group, camera), []).append((place, thumbnail))
    for (_, camera), members in groups.items():
        reference = members[0][1]
        if np.abs(reference[..., 0] - reference[..., 2]).mean() < CHROMA:
            continue
        swapped = [is_swapped(thumbnail, reference) for _, thumbnail in members]
        odd = sum(swapped) <= len(swapped) / 2  # whether those unlike the first are the fewer
        for (place, _), turned in zip(members, swapped, strict=True):
            if turned == odd and any(swapped):
                what = f"red and blue of '{camera}' are exchanged against most other episodes of the task"
                yield Finding("channel_order", what, "RGB in every episode", place)


def is_swapped(thumbnail: np.ndarray, reference: np.ndarray) -> bool:
    """Whether exchanging red and blue brings a thumbnail clearly closer to the reference."""
    as_is = np.abs(thumbnail - reference).mean()
    turned = np.abs(thumbnail[..., ::-1] - reference).mean()
    return bool(turned < MARGIN * as_is)
