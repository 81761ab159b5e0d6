"""The columns that docs/data.md promises: what checks may rely on when a data set has them."""

from dataclasses import MISSING, fields
from typing import get_type_hints

import numpy as np

from rldg.data.example import Field
from rldg.data.validation.subject import METADATA, STEPS
from rldg.env.types import STATE_PARTS, STATE_SIZE
from rldg.rollout.episode import EpisodeMetadata

CONTRACT = f"{METADATA}action_contract"  # what makes a data set one of ours

_SIZES = {"action": 7, "base_action": 7, "action_normalized": 7, "observation/state": STATE_SIZE}
_SIZES |= {"observation/raw_state": STATE_SIZE} | {f"observation/{part}": size for part, size in STATE_PARTS.items()}
_STEPS = {
    **{name: Field("number", (size,), np.dtype(np.float32)) for name, size in _SIZES.items()},
    **{name: Field("number", (), np.dtype(np.float32)) for name in ("reward", "discount")},
    **{name: Field("number", (), np.dtype(bool)) for name in ("is_first", "is_last", "is_terminal", "is_intervention")},
    "language_instruction": Field("text", (), np.dtype(object)),
}
_SCALARS = {
    str: Field("text", (), np.dtype(object)),
    bool: Field("number", (), np.dtype(bool)),
    int: Field("number", (), np.dtype(np.int64)),
    float: Field("number", (), np.dtype(np.float32)),
}
_METADATA = {name: _SCALARS[kind] for name, kind in get_type_hints(EpisodeMetadata).items()}
EXPECTED = {STEPS + name: field for name, field in _STEPS.items()}
EXPECTED |= {METADATA + name: field for name, field in _METADATA.items()}
# Metadata with a default came later: older data sets are sound without it.
OPTIONAL = {METADATA + member.name for member in fields(EpisodeMetadata) if member.default is not MISSING}
