"""The algorithms a specialist can learn by: what options stand for that are not given, and who learns."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rldg.errors import UnknownNameError
from rldg.specialists.config import SpecialistConfig

# Behaviour cloning as in HIL-SERL's baselines: papers' sizes, 20,000 updates, half-way through which trials begin.
_CLONING: dict[str, Any] = {
    "hidden": (512, 512, 512),
    "dropout": 0.25,
    "batch_size": 256,
    "learning_rate": 3e-4,
    "pretrain_updates": 20_000,
    "least_updates": 10_000,
}

# By algorithm: what differs from the defaults of `SpecialistConfig`.
ALGORITHMS: dict[str, dict[str, Any]] = {
    # RLPD; with an operator, HIL-SERL.
    "rlpd": {},
    # The same without demonstrations: soft actor-critic from nothing.
    "sac": {"demonstrations": 0},
    # Clones the demonstrations and never explores.
    "bc": {**_CLONING, "max_env_steps": 0},
    # Clones the demonstrations, then lets the operator correct the clone, and clones that too.
    "hg-dagger": {**_CLONING, "operator": "teleoperator", "updates_per_step": 2, "max_env_steps": 10_000},
}


def configured(algorithm: str, options: Mapping[str, Any] | None = None, **changes: Any) -> SpecialistConfig:
    """The configuration of an algorithm: `options` where it sets none of its own, and `changes` above all.

    Raises `UnknownNameError` for an unknown algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise UnknownNameError("algorithm", algorithm, ALGORITHMS)
    return replace(
        SpecialistConfig(), **{"algorithm": algorithm, **(options or {}), **ALGORITHMS[algorithm], **changes}
    )
