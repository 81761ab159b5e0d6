"""Which plots an episode's columns become, with the names and units of their lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from rldg.env.types import STATE_PARTS

# Wider columns than this, such as depth maps, are no lines of a plot.
MOST_LINES = 64


@dataclass(frozen=True)
class Plot:
    """Some neighbouring dimensions of a column, drawn together."""

    title: str
    unit: str
    lines: tuple[str, ...]
    shown: bool = False  # at first; the others wait for the viewer to choose them


_XYZ = ("x", "y", "z")
_ROTATION = ("rx", "ry", "rz")
_GRIPPER = "0 closed .. 1 open"


def _action(name: str, translation: str, rotation: str, gripper: str, *, shown: bool = False) -> tuple[Plot, ...]:
    return (
        Plot(f"{name}: translation", translation, _XYZ, shown),
        Plot(f"{name}: rotation", rotation, _ROTATION, shown),
        Plot(f"{name}: gripper", gripper, ("gripper",), shown),
    )


def _pose(name: str, *, shown: bool = False) -> tuple[Plot, ...]:
    return (
        Plot(f"{name}: position", "m", _XYZ, shown),
        Plot(f"{name}: orientation", "quaternion", ("qx", "qy", "qz", "qw")),
    )


# Column -> its plots, in the units of docs/data.md.
_PARTS = {
    "tcp_pose": _pose("Pose", shown=True),
    "tcp_vel": (Plot("Velocity: linear", "m/s", _XYZ), Plot("Velocity: angular", "rad/s", _ROTATION)),
    "tcp_force": (Plot("Force", "N", _XYZ, True),),
    "tcp_torque": (Plot("Torque", "N m", _XYZ),),
    "gripper_pose": (Plot("Gripper", _GRIPPER, ("gripper",)),),
}
_COLUMNS = {
    "action": _action("Action", "m per step", "rad per step", _GRIPPER, shown=True),
    "base_action": _action("Base action", "m per step", "rad per step", _GRIPPER),
    "action_normalized": _action("Normalised action", "-1 .. 1", "-1 .. 1", "-1 close .. 1 open"),
    **{f"observation/{part}": plots for part, plots in _PARTS.items()},
    "observation/tcp_in_target": _pose("Pose in target"),
    "observation/object_in_tcp": _pose("Object in the tool"),
    "observation/object_in_target": _pose("Object in target"),
    "observation/raw_state": tuple(
        Plot(f"Base frame, {plot.title}", plot.unit, plot.lines) for part in STATE_PARTS for plot in _PARTS[part]
    ),
}
_REPEATED = {"observation/state"}  # the named parts once more


def episode_plots(steps: Mapping[str, Any], known_units: bool) -> list[dict[str, Any]]:
    """The plots of an episode's numeric columns: `title`, `unit`, `shown`, `lines` of a `label` and `values` (T).

    A column of another width than docs/data.md gives it, or of another name, becomes one plot of numbered lines.
    Values that are not finite are None. `known_units` says whether the data set keeps to the units of docs/data.md;
    in data sets of other making a column of the same name may be in others.
    """
    names = [*(name for name in _COLUMNS if name in steps), *sorted(steps.keys() - _COLUMNS.keys())]
    plots = [plot for name in names for plot in _plots(name, steps[name], known_units)]
    if not any(plot["shown"] for plot in plots):
        for plot in plots[:2]:
            plot["shown"] = True
    return sorted(plots, key=lambda plot: not plot["shown"])


def _plots(name: str, column: Any, known_units: bool) -> Iterator[dict[str, Any]]:
    if not isinstance(column, np.ndarray) or column.dtype.kind not in "fiu" or name in _REPEATED:
        return
    lines = column.reshape(len(column), -1).T
    if not 0 < len(lines) <= MOST_LINES:
        return
    numbered = Plot(name, "", tuple(map(str, range(len(lines)))) if len(lines) > 1 else (name,))
    plots = _COLUMNS.get(name, ())
    if sum(len(plot.lines) for plot in plots) != len(lines):
        plots = (numbered,)
    ends = accumulate((len(plot.lines) for plot in plots), initial=0)
    for plot, (start, end) in zip(plots, pairwise(ends), strict=True):
        yield {
            "title": plot.title,
            "unit": plot.unit if known_units else "",
            "shown": plot.shown,
            "lines": [
                {"label": label, "values": _plain(values)}
                for label, values in zip(plot.lines, lines[start:end], strict=True)
            ],
        }


def _plain(values: np.ndarray) -> list[float | None]:
    """Numbers to seven digits, which is what float32 holds; JSON knows no infinity."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values.tolist()]
