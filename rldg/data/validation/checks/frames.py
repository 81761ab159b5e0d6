"""Whether the cameras saw something, in the right size, and kept seeing."""

from collections.abc import Iterator

import numpy as np

from rldg.data.validation.finding import Finding
from rldg.data.validation.pictures import Picture
from rldg.data.validation.subject import STEPS, Subject

DARK = 12  # grey levels; a picture whose brightest value is below shows nothing
FLAT = 1.0  # standard deviation in grey levels; a picture below it is one colour
MOVED = 0.004  # tool travel between two frames at which any camera that sees it must change [m]
FROZEN = 3  # frames in a row, each the same as before while the tool moved


def check_pictures(subject: Subject) -> Iterator[Finding]:
    """Broken, wrongly sized, black, or one-coloured pictures; the same picture from two cameras."""
    for camera, pictures in subject.pictures.items():
        shape = subject.fields[STEPS + camera].shape
        faults = {
            "picture_broken": ([bool(p.fault) for p in pictures], "a whole JPEG or PNG"),
            "picture_size": ([_missized(p, shape) for p in pictures], f"{shape}"),
            "picture_black": ([not p.fault and p.brightest < DARK for p in pictures], "a picture that shows something"),
            "picture_blank": (
                [not p.fault and p.brightest >= DARK and p.spread < FLAT for p in pictures],
                "a picture that shows something",
            ),
        }
        for kind, (wrong, right) in faults.items():
            if any(wrong):
                step = wrong.index(True)
                seen = (
                    pictures[step].fault or f"{pictures[step].shape}, deviation {pictures[step].spread:.2g} grey levels"
                )
                what = f"'{camera}' on {sum(wrong)} of {len(pictures)} steps: {seen}"
                yield Finding(kind, what, right, subject.at(step))
    cameras = list(subject.pictures.items())
    for index, (camera, pictures) in enumerate(cameras):
        for other, others in cameras[:index]:
            same = [a.digest == b.digest for a, b in zip(pictures, others, strict=True)]
            if all(same):
                what = f"'{camera}' and '{other}' hold the same pictures"
                yield Finding("picture_shared", what, "a view of its own for each camera", subject.at(0))


def check_frozen(subject: Subject) -> Iterator[Finding]:
    """Pictures that stay the same, to the byte, while the tool moves."""
    positions = subject.steps["observation/tcp_pose"][:, :3].astype(np.float64)
    for camera, pictures in subject.pictures.items():
        run, longest, start = 0, 0, 0
        repeats = []
        for step in range(1, len(pictures)):
            if pictures[step].digest != pictures[step - 1].digest:
                run = 0
                continue
            run += 1
            travelled = np.linalg.norm(positions[step] - positions[step - run])
            if travelled > MOVED:
                repeats.append(step)
            if run > longest:
                longest, start = run, step - run
        if repeats and longest >= FROZEN:
            what = f"'{camera}' shows one picture over {longest + 1} steps while the tool moves"
            yield Finding("picture_frozen", what, "a new picture on every step", subject.at(start))
        elif repeats:
            what = f"'{camera}' repeats its last picture on {len(repeats)} steps while the tool moves"
            yield Finding("picture_repeated", what, "a new picture on every step", subject.at(repeats[0]))


def _missized(picture: Picture, shape: tuple[int | None, ...]) -> bool:
    return not picture.fault and any(
        wanted is not None and wanted != found for wanted, found in zip(shape[:2], picture.shape[:2], strict=False)
    )
