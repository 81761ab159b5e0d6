"""From what a user types for a policy to the policy."""

from pathlib import Path

from rldg.errors import UnknownNameError
from rldg.policies.base import Policy

NAMES = ("expert", "teleoperator", "teleoperator:average", "teleoperator:clumsy")


def load_policy(text: str, *, stochastic: bool = False, statistics: str = "") -> Policy:
    """The policy that `text` names: `expert`, `teleoperator[:habits]`, or the folder of a trained one.

    `FOLDER@STEP` takes a generalist's checkpoint of that step instead of its last one. `POLICY+teleoperator[:habits]`
    lets the simulated operator take over where the policy gets no further (`rldg.policies.intervention`).

    `stochastic` lets a specialist sample its actions, as the paper's roll-outs do; others ignore it. `statistics`
    chooses by which of its data sets a generalist un-normalises; the first one by default.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        CheckpointError: the folder holds no policy that can be loaded.
    """
    base, plus, operator = text.rpartition("+")
    if plus and operator in NAMES:
        from rldg.policies.intervention import Intervention

        return Intervention(load_policy(base, stochastic=stochastic, statistics=statistics), load_policy(operator))
    name, _, habits = text.partition(":")
    if name == "expert" and not habits:
        from rldg.policies.expert import Expert

        return Expert()
    if name == "teleoperator":
        from rldg.policies.teleoperator import Teleoperator

        return Teleoperator(habits or "skilled")
    path, _, step = text.rpartition("@")
    folder, at = (Path(path), int(step)) if path and step.isdecimal() else (Path(text), None)
    if not folder.is_dir():
        raise UnknownNameError("policy (a name, or the folder of a trained one)", text, NAMES)
    if (folder / "dataset_statistics.json").exists():
        from rldg.generalists.octo.policy import load_octo

        return load_octo(folder, at, statistics_key=statistics)
    from rldg.specialists.policy import load_specialist

    return load_specialist(folder, stochastic=stochastic)
