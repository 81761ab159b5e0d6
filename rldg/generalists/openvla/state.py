"""The state of an unfinished training on disk: what is trained, its optimisers, and the place in data and time.

One safetensors file, whose header also holds the rest as JSON. Whether weights and moments lie on one device or in
pieces on many makes no difference to what is written.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from rldg.errors import CheckpointError
from rldg.generalists.openvla.learner import Learner
from rldg.stage import write_durably

FILE = "state.safetensors"
_MODEL = "model."  # of the objective's names
_WEIGHTS, _MOMENTS = "weights/", "moments/"


def weights_of(learner: Learner, *, frozen: bool) -> dict[str, torch.Tensor]:
    """Weights under the model's own names, whole, on the CPU of the leading process. All processes must ask."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=not frozen)
    found: Any = get_model_state_dict(learner.objective, options=options)
    return {name.removeprefix(_MODEL): value for name, value in found.items()}


@dataclass(frozen=True)
class Place:
    """How far a training came."""

    step: int = 0
    loader: dict[str, Any] | None = None  # the loader's place; None: its beginning
    found: dict[str, float] = field(default_factory=dict)  # by the last update


def save_state(folder: Path, learner: Learner, place: Place) -> None:
    """Writes weights, moments and `place`, all or nothing. All processes must call it."""
    weights = weights_of(learner, frozen=False)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found: Any = get_optimizer_state_dict(learner.objective, learner.optimizers, options=options)
    if learner.leads:
        tensors = {_WEIGHTS + name: value for name, value in weights.items()} | {
            f"{_MOMENTS}{name}/{kind}": value
            for name, moments in found["state"].items()
            for kind, value in moments.items()
        }
        header = json.dumps(asdict(place))
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        write_durably(folder / FILE, save(contiguous, {"rldg": header}))


def load_state(folder: Path, learner: Learner) -> Place:
    """Brings weights and moments to where `save_state` was called, if it was.

    Raises `CheckpointError` if the file is damaged or belongs to another model.
    """
    path = folder / FILE
    if not path.exists():
        return Place()
    try:
        with safe_open(path, "pt") as file:
            place = Place(**json.loads(file.metadata()["rldg"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
        options = StateDictOptions(full_state_dict=True, strict=False)
        weights = {_MODEL + n.removeprefix(_WEIGHTS): t for n, t in tensors.items() if n.startswith(_WEIGHTS)}
        set_model_state_dict(learner.objective, weights, options=options)
        moments: dict[str, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(_MOMENTS):
                parameter, _, kind = name.removeprefix(_MOMENTS).rpartition("/")
                moments.setdefault(parameter, {})[kind] = value
        groups = []  # rates follow from configuration and step
        for optimizer in learner.optimizers:
            kind = "momentum_buffer" if isinstance(optimizer, torch.optim.Muon) else "exp_avg"
            names = [name for name, kinds in moments.items() if kind in kinds]
            groups.append(optimizer.param_groups[0] | {"params": names})
        state: Any = {"state": moments, "param_groups": groups}
        set_optimizer_state_dict(learner.objective, learner.optimizers, state, options=options)
        return place
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); pass --overwrite to start afresh.") from None
