"""README's picture: one insertion per policy as a film strip, from the videos of a finished demo.

python -m pipelines.picture --run runs/demo
"""

from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import matplotlib as mpl
import numpy as np
import tyro

mpl.use("Agg")
from matplotlib import pyplot as plt

FRAMES = 6
LABELS = {"specialist": "RL specialist", "rl": "Octo on RL data", "teleoperator": "Octo on\nteleoperated data"}


@dataclass(frozen=True)
class Args:
    """Arguments of the pipeline."""

    # A finished demo.
    run: Path = Path("runs/demo")
    # Where the picture goes.
    out: Path = Path("docs/images/demo.png")


def frames(video: Path) -> np.ndarray:
    """All frames (T, H, W, 3) of a video."""
    stream = imageio_ffmpeg.read_frames(str(video))
    width, height = next(stream)["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in stream])


def main(args: Args) -> None:
    """Writes the picture."""
    figure, axes = plt.subplots(len(LABELS), FRAMES, figsize=(13, 4.1))
    for row, (arm, label) in zip(axes, LABELS.items(), strict=True):
        video = sorted((args.run / "evaluation" / arm).rglob("*_success.mp4"))[0]
        film = frames(video)
        for axis, index in zip(row, np.linspace(0, len(film) - 1, FRAMES).round().astype(int), strict=True):
            axis.imshow(film[index])
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=11)
    figure.subplots_adjust(left=0.12, right=1, top=1, bottom=0, wspace=0.03, hspace=0.03)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=90)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
