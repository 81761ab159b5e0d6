"""Whether the gripper's command is 0 closed .. 1 open, and the gripper follows it that way round."""

from collections.abc import Iterator

import numpy as np

from rldg.data.validation.finding import Finding
from rldg.data.validation.subject import Subject

RANGE = (-0.01, 1.01)
SETTLED = 5  # steps after which a gripper has followed a command that did not change


def check_gripper(subject: Subject) -> Iterator[Finding]:
    """Range of command and measurement; then the side on which the gripper stands after a steady command."""
    command, opening = subject.steps["action"][:, 6], subject.steps["observation/gripper_pose"][:, 0]
    if not (np.isfinite(command).all() and np.isfinite(opening).all()):
        return  # said elsewhere
    for name, column in (("action[6]", command), ("gripper_pose", opening)):
        wrong = np.flatnonzero((column < RANGE[0]) | (column > RANGE[1]))
        if wrong.size:
            what = f"'{name}' spans {column.min():.3g} .. {column.max():.3g}"
            yield Finding("gripper_range", what, "0 closed .. 1 open", subject.at(wrong[0]))
            return
    steady = [step for step in range(SETTLED, len(command)) if np.ptp(command[step - SETTLED : step]) < 0.1]
    if len(steady) < SETTLED:
        return
    before = np.array([command[step - 1] for step in steady])
    as_is, turned = (float(np.median(np.abs(side - opening[steady]))) for side in (before, 1 - before))
    if as_is > 0.6 and turned < 0.4:
        what = "the gripper closes when 'action[6]' says open, and the other way round"
        yield Finding("gripper_sign", what, "0 closed .. 1 open", subject.at(steady[0]))
