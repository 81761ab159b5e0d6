"""Whether a simulated episode begins with the picture that its seed shows: the scene is rendered again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rldg.data.validation.check import Skip
from rldg.data.validation.checks.colours import MARGIN
from rldg.data.validation.finding import Finding, Place
from rldg.data.validation.pictures import thumbnail
from rldg.data.validation.subject import Subject
from rldg.errors import RldgError

RENDERED = 3  # episodes of each task that are rendered again
CLOSE = 4.0  # mean difference of thumbnails up to which two pictures show the same [grey levels]
OTHER = 15.0  # difference beyond which they show different scenes [grey levels]
VARIANTS = {
    "channel_order": ("has red and blue exchanged", lambda image: image[..., ::-1]),
    "picture_flipped": ("is upside down", lambda image: image[::-1]),
    "picture_mirrored": ("is mirrored", lambda image: image[:, ::-1]),
    "picture_rotated": ("is turned by 180 degrees", lambda image: image[::-1, ::-1]),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """What an episode's first picture follows from, and what that picture looks like."""

    task: str
    task_hash: str
    station: str
    seed: int
    thumbnails: dict[str, np.ndarray]


def scene_of(subject: Subject) -> Scene | None:
    """The scene of a simulated episode; None for another."""
    seed = subject.metadata["seed"]
    if subject.metadata["backend"] != "mujoco" or not isinstance(seed, int) or seed < 0:
        return None
    first = {name: pictures[0] for name, pictures in subject.pictures.items()}
    thumbnails = {name: picture.thumbnail for name, picture in first.items() if not picture.fault}
    m = subject.metadata
    return Scene(m["task"], m["task_hash"], m["station"], seed, thumbnails)


def check_scenes(found: Sequence[tuple[Place, Scene | None]]) -> Iterator[Finding]:
    """Renders the first, middle and last episode of each task. Skipped where the task or the renderer is not there."""
    scenes = [(place, scene) for place, scene in found if scene is not None]
    if not scenes:
        raise Skip("no episode was simulated")
    reasons = []
    for name in dict.fromkeys(scene.task for _, scene in scenes):
        members = [(place, scene) for place, scene in scenes if scene.task == name]
        chosen = sorted({round(i) for i in np.linspace(0, len(members) - 1, RENDERED)})
        try:
            env = _environment(members[0][1])
        except Skip as reason:
            reasons.append(str(reason))
            continue
        try:
            for place, scene in (members[i] for i in chosen):
                images = env.reset(seed=scene.seed)[0]["images"]
                yield from _compared(place, scene, {f"observation/image_{n}": v for n, v in images.items()})
        finally:
            env.close()
    if reasons:
        raise Skip("; ".join(reasons))


def _environment(scene: Scene) -> Any:
    from rldg.env.make import make_env  # MuJoCo is heavy, and most checks need none
    from rldg.tasks import load_task, task_names, world_task_names

    # Names only: a path in a data set may lead anywhere.
    if scene.task not in (*task_names(), *world_task_names()) or scene.station.endswith((".yaml", ".yml")):
        raise Skip(f"task '{scene.task}' at station '{scene.station}' is not one that comes with rldg")
    try:
        task = load_task(scene.task)
        if task.hash != scene.task_hash:
            raise Skip(f"task '{scene.task}' is here in another version than the data set's")
        return make_env(task, scene.station)
    except RldgError as error:
        raise Skip(f"task '{scene.task}' cannot be rendered here: {error}") from None
    except (ImportError, RuntimeError, OSError, AttributeError) as error:  # what rendering without a driver raises
        raise Skip(f"nothing can be rendered here ({type(error).__name__}: {error})") from None


def _compared(place: Place, scene: Scene, images: dict[str, np.ndarray]) -> Iterator[Finding]:
    for camera, seen in scene.thumbnails.items():
        if camera not in images:
            continue
        image = images[camera]
        as_is = np.abs(seen - thumbnail(image)).mean()
        if as_is < CLOSE:
            continue
        distances = {kind: np.abs(seen - thumbnail(turn(image))).mean() for kind, (_, turn) in VARIANTS.items()}
        kind = min(distances, key=lambda kind: distances[kind])
        if distances[kind] < MARGIN * as_is:
            what = f"the first picture of '{camera}' {VARIANTS[kind][0]} against the scene of its seed"
            yield Finding(kind, what, "the picture as the environment gives it, RGB", place)
        elif as_is > OTHER:
            what = f"the first picture of '{camera}' is {as_is:.0f} grey levels off the scene of its seed"
            yield Finding("scene_differs", what, "the picture that the seed shows", place, "warning")
