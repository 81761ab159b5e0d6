"""Videos of episodes: the cameras side by side above a caption bar, as H.264 that every browser plays."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rldg.rollout.episode import Episode
from rldg.rollout.loop import Subscriber

SIZE = 240  # pixels a view's side has in the film
BAR = 28  # pixels of the caption bar
HOLD_SECONDS = 1.0  # how long the outcome stays on the screen
# Keeps ffmpeg from being started through a fork, which a process with JAX's threads may not survive.
os.environ.setdefault("IMAGEIO_FFMPEG_NO_PREVENT_SIGINT", "1")

COLORS = {"": (228, 230, 235), "success": (120, 220, 150), "failure": (255, 150, 120)}


def frame(views: dict[str, np.ndarray], caption: str, tone: str = "") -> np.ndarray:
    """One picture of the film, uint8 (SIZE + BAR, SIZE x cameras, 3).

    Args:
        views: camera -> uint8 (H, W, 3).
        caption: text of the bar.
        tone: "", "success" or "failure"; colours the text.
    """
    names = sorted(views)  # by name: a "side" view comes before a "wrist" view
    canvas = Image.new("RGB", (SIZE * len(names), SIZE + BAR), (24, 26, 31))
    for column, name in enumerate(names):
        view = Image.fromarray(views[name]).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        canvas.paste(view, (SIZE * column, 0))
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(canvas).text((8, SIZE + BAR / 2), caption, COLORS[tone], font=font, anchor="lm")
    return np.asarray(canvas)


def frames(episode: Episode, rate: float) -> Iterator[np.ndarray]:
    """The film of an episode at `rate` frames per second, with the outcome held at its end."""
    steps = len(episode)
    for index in range(steps):
        yield frame({name: view[index] for name, view in episode.images.items()}, f"step {index + 1}")
    last = episode.final.get("images") or {name: view[-1] for name, view in episode.images.items()}
    outcome = "success" if episode.success else episode.metadata.failure_reason.replace("_", " ")
    held = frame(last, f"{outcome}, {steps} steps, {steps / rate:.1f} s", "success" if episode.success else "failure")
    for _ in range(max(1, round(HOLD_SECONDS * rate))):
        yield held


def write_video(path: Path, episode: Episode, rate: float) -> None:
    """Writes an episode's film to `path` (.mp4); the file appears only when it is whole.

    Raises:
        ValueError: when the episode was recorded without cameras.
    """
    if not episode.images:
        raise ValueError("The episode has no images; roll it out with cameras to film it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part.mp4")
    writer = imageio_ffmpeg.write_frames(
        str(temporary),
        (SIZE * len(episode.images), SIZE + BAR),
        fps=rate,  # pyright: ignore[reportArgumentType] - typed int, but passed on to ffmpeg as it is
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,  # pyright: ignore[reportArgumentType] - None leaves it to -crf below
        macro_block_size=2,
        output_params=["-crf", "26", "-preset", "veryfast", "-movflags", "+faststart", "-threads", "1"],
    )
    writer.send(None)
    try:
        for picture in frames(episode, rate):
            writer.send(np.ascontiguousarray(picture))
    finally:
        writer.close()
    temporary.replace(path)


class VideoRecorder(Subscriber):
    """Films every episode of a rollout into the path that `path_of` names for it."""

    def __init__(self, path_of: Callable[[Episode], Path], rate: float) -> None:
        self._path_of = path_of
        self._rate = rate

    def end(self, episode: Episode) -> None:
        """Writes the film."""
        write_video(self._path_of(episode), episode, self._rate)
