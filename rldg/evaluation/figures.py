"""The report's figures, as SVG that takes its colours and its font from the page around it."""

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rldg.evaluation.actions import SocketActions

# Colours that no figure uses otherwise; on the page they become its variables, so that light and dark both look right.
TEXT, MUTED, GRID = "#010101", "#020202", "#030303"
ARM_COLORS = {"rl": "#040404", "teleoperator": "#050505", "specialist": "#060606"}
OTHER = "#070707"
_VARIABLES = {
    TEXT: "var(--text)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    OTHER: "var(--other)",
    **{color: f"var(--{arm})" for arm, color in ARM_COLORS.items()},
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rldg",
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": TEXT,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


@dataclass
class Svg:
    """A figure being drawn, and afterwards its markup."""

    axes: Any
    markup: str = ""


@contextmanager
def svg(width: float, height: float, **subplots: Any) -> Iterator[Svg]:
    """A figure of that size [inch at 72 dots]; its markup is there when the body ends."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        drawing = Svg(figure.subplots(**subplots))
        yield drawing
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing.markup = _for_the_page(buffer.getvalue())


def _for_the_page(markup: str) -> str:
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    markup = re.sub(r' id="[A-Za-z.]+_\d+"', "", markup)  # figures share one page: their groups' names would clash
    markup = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", markup, count=1)
    markup = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", markup)
    markup = re.sub(r"xmlns:xlink=\"[^\"]*\" ?", "", markup).replace("xlink:href", "href")
    for color, variable in _VARIABLES.items():
        markup = markup.replace(color, variable)
    return markup


def percent_axis(axes: Axes) -> None:
    """Makes the vertical axis one of shares, 0 to 100 %."""
    axes.set_ylim(-0.02, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, moved up where two labels would be closer than `gap`."""
    placed = list(heights)
    for lower, upper in itertools.pairwise(sorted(range(len(placed)), key=placed.__getitem__)):
        placed[upper] = max(placed[upper], placed[lower] + gap)
    return placed


def success_rates(rows: Sequence[tuple[str, str, float, tuple[float, float]]]) -> str:
    """One line per (arm key, label, rate, 95 % interval): a dot in its interval, labelled directly."""
    with svg(4.0, 0.5 + 0.72 * len(rows)) as drawing:
        axes = drawing.axes
        for place, (key, label, rate, (low, high)) in enumerate(reversed(rows)):
            color = ARM_COLORS.get(key, OTHER)
            axes.plot([low, high], [place, place], color=color, linewidth=5, alpha=0.28)
            axes.plot([rate], [place], "o", color=color, markersize=7)
            axes.text(0, place + 0.2, label, fontsize=9, va="bottom")
            interval = f"{100 * rate:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
            axes.text(1, place + 0.2, interval, fontsize=8.5, va="bottom", ha="right", color=MUTED)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.5, len(rows) - 0.35), yticks=[], xlabel="success on locked scenes")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
    return drawing.markup


def specialist_curve(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Success of the latest training episodes against environment steps, one line per run."""
    with svg(4.0, 2.5) as drawing:
        axes = drawing.axes
        for lines in runs.values():
            steps = [line["env_steps"] for line in lines]
            axes.plot(steps, [line["success"] for line in lines], color=ARM_COLORS["specialist"])
            if "wall_seconds" in lines[-1] and len(runs) == 1:
                axes.annotate(
                    f"after\n{lines[-1]['wall_seconds']:.0f} s", (steps[-1], lines[-1]["success"]), xytext=(6, 0),
                    textcoords="offset points", va="center", color=MUTED, annotation_clip=False,
                )  # fmt: skip
        percent_axis(axes)
        axes.set_xlim(left=0)
        axes.set_xlabel("environment steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    return drawing.markup


def generalist_curves(points: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """Success against updates: a thin line per training seed, a thick one for their mean; labelled at its end."""
    with svg(4.0, 2.5) as drawing:
        axes = drawing.axes
        ends: dict[str, tuple[float, float]] = {}
        for key in labels:
            own = [point for point in points if point["data"] == key]
            if not own:
                continue
            color = ARM_COLORS.get(key, OTHER)
            seeds = sorted({point["seed"] for point in own})
            for seed in seeds:
                line = sorted((p["updates"], p["successes"] / p["trials"]) for p in own if p["seed"] == seed)
                axes.plot(*zip(*line, strict=True), color=color, linewidth=0.9, alpha=0.45, marker=".", markersize=4)
            updates = sorted({point["updates"] for point in own})
            mean = [np.mean([p["successes"] / p["trials"] for p in own if p["updates"] == u]) for u in updates]
            if len(seeds) > 1:
                axes.plot(updates, mean, color=color, linewidth=2.2)
            ends[key] = updates[-1], float(mean[-1])
        heights = _apart([height for _, height in ends.values()], 0.2)
        for (key, (x, _)), height in zip(ends.items(), heights, strict=True):
            axes.annotate(
                labels[key].replace(" ", "\n"), (x, height), xytext=(6, 0), textcoords="offset points",
                va="center", color=ARM_COLORS.get(key, OTHER), annotation_clip=False,
            )  # fmt: skip
        percent_axis(axes)
        axes.set_xlim(left=0)
        axes.set_xlabel("updates of the generalist")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    return drawing.markup


def cycle_times(rows: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    """One line per (arm key, label, seconds of each success): every success a dot, the mean a bar."""
    rng = np.random.default_rng(0)  # spreads the dots; no number depends on it
    with svg(4.0, 0.5 + 0.72 * len(rows)) as drawing:
        axes = drawing.axes
        for place, (key, label, seconds) in enumerate(reversed(rows)):
            color = ARM_COLORS.get(key, OTHER)
            spread = place - 0.12 + rng.uniform(-0.16, 0.16, len(seconds))
            axes.scatter(seconds, spread, s=9, color=color, alpha=0.35, linewidths=0)
            mean = float(np.mean(seconds))
            axes.plot([mean, mean], [place - 0.34, place + 0.1], color=color, linewidth=2.4)
            axes.text(0, place + 0.2, label, fontsize=9, va="bottom")
            axes.text(1, place + 0.2, f"mean {mean:.1f} s, {len(seconds)} successes", fontsize=8.5, va="bottom",
                      ha="right", color=MUTED, transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set(ylim=(-0.5, len(rows) - 0.35), yticks=[], xlabel="seconds to success")
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
    return drawing.markup


def action_squares(actions: Mapping[str, SocketActions], labels: Mapping[str, str]) -> str:
    """Lateral moves near the socket side by side; the correct move is towards the lower left corner (paper, Fig. 8)."""
    with svg(4.0, 2.3, ncols=len(actions), squeeze=False, sharey=True) as drawing:
        for axes, (key, found) in zip(drawing.axes[0], actions.items(), strict=True):
            color = ARM_COLORS.get(key, OTHER)
            axes.set_title(labels[key], fontsize=9, color=color, loc="left")
            axes.axhline(0, color=GRID, linewidth=0.8)
            axes.axvline(0, color=GRID, linewidth=0.8)
            axes.plot([-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1], color=MUTED, linewidth=0.7)
            axes.scatter(*found.xy.T, s=10, color=color, alpha=0.3, linewidths=0, clip_on=False)
            if len(found.xy):
                axes.plot(*found.xy.mean(axis=0), "P", color=color, markersize=9, markeredgecolor=TEXT)
            axes.plot([-1], [-1], "s", color=TEXT, markersize=6, fillstyle="none", clip_on=False)
            axes.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            axes.grid(visible=False)
            axes.tick_params(length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
            axes.set_xlabel("move in x")
        drawing.axes[0][0].set_ylabel("move in y")
    return drawing.markup
