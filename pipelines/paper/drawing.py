"""Figures of the results: on the page, in its colours, and as files of their own."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rldg.evaluation.figures import ARM_COLORS, GRID, MUTED, OTHER, STYLE, TEXT, percent_axis, svg
from rldg.stage import write_durably

SIZE = (5.6, 3.2)  # inch
DOTS = 160  # per inch, of PNG
MARKERS = "os^Dv"
# What stands in files for the colours that a page has variables for (see `rldg.evaluation.figures`).
PRINTED = {TEXT: "#1c1e23", MUTED: "#63676f", GRID: "#e2e2de", OTHER: "#7453ad"} | dict(
    zip(ARM_COLORS.values(), ("#1b67cc", "#c75a10", "#0f7c64"), strict=True)
)


def on_page(figure: Mapping[str, Any]) -> str:
    """The figure's SVG for an HTML page with the style of `rldg.evaluation`."""
    with svg(*SIZE) as drawing:
        _draw(drawing.axes, figure, {})
    return drawing.markup


def write_files(figure: Mapping[str, Any], path: Path) -> None:
    """Writes the figure beside `path`, as `.svg` and `.png`."""
    with mpl.rc_context({key: _printed(value, PRINTED) for key, value in STYLE.items()}):
        drawn = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(drawn)
        _draw(drawn.subplots(), figure, PRINTED)
        for kind, metadata in {"svg": {"Date": None}, "png": {"Software": None}}.items():
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, dpi=DOTS, facecolor="white", metadata=metadata)
            write_durably(path.with_name(f"{path.name}.{kind}"), buffer.getvalue())


def _printed(value: Any, colours: Mapping[str, str]) -> Any:
    return colours.get(value, value) if isinstance(value, str) else value


def _draw(axes: Axes, figure: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """All series, each in its arm's colour; series of one arm are told apart by their markers."""
    markers: dict[str, int] = {}
    kinds = len(figure["series"])
    for number, series in enumerate(figure["series"]):
        arm = series["arm"]
        marker = MARKERS[markers.setdefault(arm, 0) % len(MARKERS)]
        markers[arm] += 1
        colour = _printed(ARM_COLORS.get(arm, OTHER), colours)
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5, "label": series["label"]}
        x, y = (_numbers(series[name]) for name in "xy")
        if figure["style"] == "square":
            axes.plot(x, y, linestyle="none", alpha=0.3, **look)
            continue
        if figure["style"] == "points":
            x = x + (number - (kinds - 1) / 2) * 0.6 / kinds
            look["linestyle"] = "none"
        if series["low"]:
            ends = [np.maximum(y - _numbers(series["low"]), 0), np.maximum(_numbers(series["high"]) - y, 0)]
            axes.errorbar(x, y, ends, elinewidth=1.2, capsize=2, **look)
        else:
            axes.plot(x, y, **look)
    _frame(axes, figure, _printed(MUTED, colours))


def _frame(axes: Axes, figure: Mapping[str, Any], muted: str) -> None:
    axes.set(xlabel=figure["x_label"], ylabel=figure["y_label"])
    if figure["share"]:
        percent_axis(axes)
    if figure["x_names"]:
        axes.set_xticks(range(len(figure["x_names"])), figure["x_names"])
        axes.set_xlim(-0.5, len(figure["x_names"]) - 0.5)
    if figure["x_log"]:
        axes.set_xscale("log")
        ticks = sorted({x for series in figure["series"] for x in series["x"]})
        axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    if figure["style"] == "square":
        axes.plot([-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1], color=muted, linewidth=0.7)
        axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _numbers(values: Any) -> np.ndarray:
    return np.array([float("nan") if value is None else value for value in values], float)
