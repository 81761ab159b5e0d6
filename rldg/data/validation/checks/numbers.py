"""Whether numbers are finite and within what the hardware and the contract allow."""

from collections.abc import Iterator

import numpy as np

from rldg.data.validation.finding import Finding
from rldg.data.validation.subject import Subject

# Far beyond what a table-top arm does; a value outside is a unit error or garbage.
BOUNDS = {
    "observation/tcp_vel": (5.0, "m/s, rad/s"),
    "observation/tcp_force": (500.0, "N"),
    "observation/tcp_torque": (200.0, "N m"),
    "action_normalized": (1.001, "of the action's scale"),
}


def check_numbers(subject: Subject) -> Iterator[Finding]:
    """Not a number, infinite, or out of bounds: the first step of each column, and how many there are."""
    for name, column in subject.steps.items():
        if not isinstance(column, np.ndarray) or column.dtype.kind != "f":
            continue
        finite = np.isfinite(column)
        wrong = _steps(~finite)
        if wrong.size:
            what = f"'{name}' is not finite on {wrong.size} of {len(subject)} steps"
            yield Finding("not_finite", what, "finite numbers", subject.at(wrong[0]))
        limit, unit = BOUNDS.get(name, (np.inf, ""))
        magnitude = np.abs(np.where(finite, column, 0.0))
        wrong = _steps(magnitude > limit)
        if wrong.size:
            what = f"'{name}' reaches {magnitude.max():.4g}, out of bounds on {wrong.size} steps"
            yield Finding("out_of_bounds", what, f"at most {limit:g} {unit}", subject.at(wrong[0]))


def _steps(wrong: np.ndarray) -> np.ndarray:
    """Steps (n,) on which any number of a column (T, ...) is wrong."""
    return np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
