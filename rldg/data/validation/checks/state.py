"""Whether the recorded poses are poses, in the frames they claim, and follow each other without a gap."""

from collections.abc import Iterator

import numpy as np

from rldg import geometry
from rldg.data.validation.finding import Finding
from rldg.data.validation.subject import Subject
from rldg.env.types import STATE_PARTS

UNIT = 0.01  # by which a quaternion's norm may differ from 1
START = 0.002  # how far from the reset pose the first relative pose may lie [m, rad]
AGREEMENT = 1e-3  # between the relative and the base-frame pose [m, rad]
JUMP = 0.15  # farther than any arm moves between two control steps [m]


def check_state(subject: Subject) -> Iterator[Finding]:
    """`observation/tcp_pose`, `observation/raw_state` and the parts of `observation/state` against each other."""
    steps = subject.steps
    poses, raw = steps["observation/tcp_pose"], steps["observation/raw_state"][:, :7]
    if not (np.isfinite(poses).all() and np.isfinite(raw).all()):
        return  # said elsewhere
    for name, column in (("tcp_pose", poses), ("raw_state", raw)):
        norms = np.linalg.norm(column[:, 3:7], axis=1)
        wrong = np.flatnonzero(np.abs(norms - 1) > UNIT)
        if wrong.size:
            what = f"the quaternion of '{name}' has norm {norms[wrong[0]]:.3g}"
            yield Finding("quaternion", what, "a unit quaternion x y z w", subject.at(wrong[0]))
            return
        jumps = np.linalg.norm(np.diff(column[:, :3], axis=0), axis=1)
        wrong = np.flatnonzero(jumps > JUMP)
        if wrong.size:
            what = f"'{name}' jumps by {jumps[wrong[0]]:.3g} m between two steps"
            yield Finding(
                "pose_jump",
                what,
                f"less than {JUMP} m: a step was lost, or the unit is wrong",
                subject.at(wrong[0] + 1),
            )
    start = _magnitude(poses[0].astype(np.float64))
    if start > START:
        what = f"'tcp_pose' begins {start:.3g} (m, rad) away from the reset pose"
        yield Finding("pose_frame", what, "poses relative to the episode's reset pose", subject.at(0))
    else:
        origin = geometry.compose(raw[0].astype(np.float64), geometry.invert(poses[0].astype(np.float64)))
        for step, (seen, base) in enumerate(zip(poses, raw, strict=True)):
            expected = geometry.relative(origin, base.astype(np.float64))
            if _magnitude(geometry.relative(expected, seen.astype(np.float64))) > AGREEMENT:
                what = "'tcp_pose' and the pose in 'raw_state' are not the same motion"
                yield Finding(
                    "pose_frame", what, "one pose, relative to the reset pose and to the base", subject.at(step)
                )
                break
    parts = np.concatenate([steps[f"observation/{part}"] for part in STATE_PARTS], axis=1)
    state = steps["observation/state"]
    wrong = np.flatnonzero(((parts != state) & ~(np.isnan(parts) & np.isnan(state))).any(axis=1))
    if wrong.size:
        what = f"'state' differs from its parts on {wrong.size} steps"
        yield Finding("state_parts", what, " + ".join(STATE_PARTS), subject.at(wrong[0]))


def _magnitude(pose: np.ndarray) -> float:
    """The larger of a pose's distance [m] and angle [rad]."""
    return float(max(np.linalg.norm(pose[:3]), np.linalg.norm(geometry.rotation_vector(pose))))
