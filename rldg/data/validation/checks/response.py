"""What the sums of `motion` say: units, frame, sign, and whether actions stand one step off."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rldg.data.validation.checks.motion import LAGS, LEAST, PARTS, Motion
from rldg.data.validation.finding import Finding, Place

# The bounds lie between what sound and what faulty sets show; docs/validate.md has the figures.
GAINS = (0.03, 5.0)  # displacement over command, between which any controller lies
BETTER = 0.4  # by how much the cosine of command and motion must be larger in another frame
TIE = 0.02  # by how much an exchange of signs may beat another frame that explains the same
OPPOSED = -0.6  # cosine below which an axis moved against its command
MOVED_AXIS = 0.05  # share of the motion from which an axis is judged
ROWS = 60  # steps x axes below which the lag is not judged
UNIQUE = 0.2  # unique contribution from which a lag is the one that moves the arm
OTHER = 0.12  # share of it up to which the contribution at lag 0 counts as none
CAP = 2.0  # what one of translation and rotation may contribute
AXES = ("x", "y", "z", "rx", "ry", "rz")
UNITS = (("translation", "metres"), ("rotation", "radians"))


class Verdict(NamedTuple):
    """What is wrong with one episode, or with all of a collection."""

    kind: str
    what: str
    right: str


def judge(found: Sequence[tuple[Place, Motion | None]]) -> Iterator[Finding]:
    """Judges each collection in the set for itself; what several of its episodes share is one finding."""
    sources: dict[tuple[str, ...], list[tuple[Place, Motion]]] = defaultdict(list)
    for place, motion in found:
        if motion is not None:
            sources[motion.source].append((place, motion))
    for members in sources.values():
        verdicts: dict[Verdict, list[Place]] = defaultdict(list)
        rest = []
        for place, motion in members:
            if verdict := scale(motion):
                verdicts[verdict].append(place)
            else:
                rest.append((place, motion))
        motions = [motion for _, motion in rest]
        if motions and (verdict := direction(motions) or lag(motions)):
            verdicts[verdict] = [place for place, _ in rest]
        for verdict, places in verdicts.items():
            what = f"{verdict.what}, in {len(places)} of {len(members)} episodes" if len(places) > 1 else verdict.what
            yield Finding(verdict.kind, what, verdict.right, places[0])


def scale(motion: Motion) -> Verdict | None:
    """Commands in other units than metres and radians."""
    for part, (gain, (name, unit)) in enumerate(zip(motion.gain, UNITS, strict=True)):
        if gain < GAINS[0]:
            guess = ("millimetres or normalised numbers", "degrees")[part]
            return Verdict("action_units", f"the tool makes hardly any of the {name} commanded; {guess}?", unit)
        if gain > GAINS[1]:
            return Verdict("action_units", f"the tool makes far more of the {name} than is commanded", unit)
    return None


def direction(motions: Sequence[Motion]) -> Verdict | None:
    """Commands that the tool follows in the axes of the base only, or against their sign."""
    local, base, command, moved = np.sum([motion.axes for motion in motions], axis=0)
    size = np.sqrt(command * moved).clip(1e-12)
    share = moved / np.repeat(np.add.reduceat(moved, [0, 3]), 3).clip(1e-12)
    opposed = (local / size < OPPOSED) & (share > MOVED_AXIS)
    parts = [part for part, least in zip(PARTS, LEAST, strict=True) if np.sqrt(moved[part].sum()) > least / 2]
    as_is, in_base, turned = (
        np.mean([products[part].sum() / np.sqrt(command[part].sum() * moved[part].sum()).clip(1e-12) for part in parts])
        if parts
        else np.nan
        for products in (local, base, np.where(opposed, -local, local))
    )
    if in_base > as_is + BETTER and in_base > turned - TIE:
        what = "the tool follows the action in the base frame, not in its own"
        return Verdict("action_frame", what, "the twist in the end-effector frame")
    if opposed.any():
        axes = ", ".join(np.array(AXES)[opposed])
        return Verdict("action_sign", f"the tool moves against the action along {axes}", "the opposite sign")
    return None


def lag(motions: Sequence[Motion]) -> Verdict | None:
    """Commands that stand a step before or after the motion that they cause."""
    products = np.sum([motion.products for motion in motions], axis=0)
    rows = sum(motion.rows for motion in motions)
    if rows < ROWS:
        return None
    before, now, after = np.sum([_contributions(part) for part in products], axis=0)
    right = "step t holds the observation at t and the action taken on it"
    if after > UNIQUE and now < after:
        return Verdict("action_lag", "the tool moves a step before its action: actions stand one step too late", right)
    if before > UNIQUE and now < OTHER * before:
        return Verdict("action_lag", "the tool moves a step after its action: actions stand one step too early", right)
    return None


def _contributions(products: np.ndarray) -> np.ndarray:
    """(3,) per lag: what only its command explains of the displacement, as the logarithm of the residual's growth.

    A policy that feeds back makes the next command depend on this motion, with a negative coefficient: not a cause.
    """
    known = np.arange(len(products) - 1)
    residual, coefficients = _fit(products, known)
    alone = [np.log(_fit(products, known[known != index])[0] / residual) for index in range(len(LAGS))]
    return np.where(coefficients[: len(LAGS)] > 0, np.minimum(alone, CAP), 0.0)


def _fit(products: np.ndarray, regressors: np.ndarray) -> tuple[float, np.ndarray]:
    """Residual sum and coefficients of the least-squares fit of the last column to others, from their products."""
    normal = products[np.ix_(regressors, regressors)]
    ridge = 1e-9 * np.diag(np.diag(normal)) + 1e-18 * np.eye(len(normal))
    target = products[regressors, -1]
    coefficients = np.linalg.solve(normal + ridge, target)
    energy = products[-1, -1]
    return max(float(energy - coefficients @ target), 1e-6 * energy + 1e-30), coefficients
