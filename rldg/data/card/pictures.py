"""The pictures of a data card: histograms as PNG, strips of frames as JPEG. The same data give the same bytes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from rldg.data.card.survey import Survey
from rldg.data.images import encode_jpeg
from rldg.data.reader import EncodedImages

SUCCESS, FAILURE = "#2a78d6", "#c8c7c2"
BARS = 40  # of a histogram of lengths, at most
FRAMES, HEIGHT, GAP = 6, 128, 4  # of a strip; in pixels
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#898781",
    "xtick.color": "#52514e",
    "ytick.color": "#52514e",
}


def episode_lengths(successes: Sequence[int], failures: Sequence[int]) -> bytes:
    """Histogram of lengths [control steps], failed episodes on top of successful ones."""
    with _png(6.4, 2.6) as (figure, picture):
        axes = figure.subplots()
        lengths = [*successes, *failures]
        width = -(-(max(lengths) - min(lengths) + 1) // BARS)  # steps per bar, so that all bars stand for equally many
        edges = np.arange(min(lengths), max(lengths) + width + 1, width) - 0.5
        parts = ((successes, SUCCESS, "successful"), (failures, FAILURE, "failed"))
        bottom = np.zeros(len(edges) - 1)
        for values, color, label in parts:
            top = bottom + np.histogram(values, edges)[0]
            axes.bar(
                edges[:-1], top - bottom, np.diff(edges), bottom, align="edge", color=color, label=label, ec="white"
            )
            bottom = top
        axes.set_xlabel("length [control steps]")
        axes.set_ylabel("episodes")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        if len(failures):
            axes.legend(frameon=False)
    return picture.getvalue()


def action_histograms(counts: Survey, names: Sequence[str]) -> bytes:
    """A histogram for each number of an action, as shares of all steps; `names` are their titles."""
    columns = 4
    rows = -(-len(names) // columns)
    with _png(8.4, 1.9 * rows) as (figure, picture):
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(names) :]:
            axes.set_visible(False)
        for axes, name, steps, edges in zip(grid, names, counts.actions, counts.edges, strict=False):
            axes.stairs(steps / steps.sum(), edges, fill=True, color=SUCCESS)
            axes.set_title(name)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.yaxis.set_major_locator(MaxNLocator(3))
        figure.supylabel("share of steps", fontsize=9)
    return picture.getvalue()


def strip(images: EncodedImages) -> bytes:
    """`FRAMES` pictures of one camera, evenly spread over an episode, beside each other from first to last."""
    frames = []
    for index in np.linspace(0, len(images) - 1, min(FRAMES, len(images))).round().astype(int):
        image = Image.fromarray(images[index])
        frames.append(np.asarray(image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT))))
        frames.append(np.full((HEIGHT, GAP, 3), 255, np.uint8))
    return encode_jpeg(np.concatenate(frames[:-1], axis=1))


@contextmanager
def _png(width: float, height: float) -> Iterator[tuple[Figure, io.BytesIO]]:
    """A figure of that size [inch], and where its PNG stands when the body ends."""
    picture = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, picture
        figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
