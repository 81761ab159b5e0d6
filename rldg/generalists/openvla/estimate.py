"""What a training will take of each device's memory, before its first update."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rldg.generalists.openvla.learner import Batch, Learner


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    weights: int
    gradients: int
    optimizer: int
    activations: int  # of one part of a batch, kept for the way back

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_size(value)}" for name, value in vars(self).items())
        return f"expected memory per device: {_size(self.total)} ({parts})"


def expected_memory(learner: Learner, part: Batch) -> Memory:
    """Weights, gradients and moments by their shapes; activations as a forward pass of `part` keeps them."""
    parameters = list(learner.objective.parameters())
    trained = sum(map(_bytes, (parameter for parameter in parameters if parameter.requires_grad)))
    return Memory(sum(map(_bytes, parameters)), trained, 2 * trained, _activations(learner.objective, part))


def trained_table(module: nn.Module) -> str:
    """Which parts of a model are trained, and how many parameters they have."""
    counts: dict[str, list[int]] = {}
    for name, parameter in module.named_parameters():
        part = ".".join(name.removeprefix("module.").split(".")[1:3])
        trained, whole = counts.setdefault(part, [0, 0])
        number = parameter.numel()
        counts[part] = [trained + number * parameter.requires_grad, whole + number]
    lines = [f"  {part}: {trained:,} of {whole:,}" for part, (trained, whole) in counts.items()]
    trained, whole = (sum(column) for column in zip(*counts.values(), strict=True))
    return "\n".join([f"trained: {trained:,} of {whole:,} parameters", *lines])


def _activations(objective: Any, part: Batch) -> int:
    weights: set[int] = set()
    kept: dict[int, int] = {}

    def note(module: nn.Module, _: Any) -> None:  # while a module computes, FSDP has its weights whole
        weights.update(p.untyped_storage().data_ptr() for p in module.parameters(recurse=False))

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    handles = [m.register_forward_pre_hook(note) for m in objective.modules() if any(True for _ in m.parameters(False))]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = objective(part)
    del found  # while it lived, no storage was used twice
    for handle in handles:
        handle.remove()
    return sum(kept.values())


def _bytes(parameter: Any) -> int:
    here = getattr(parameter, "_local_tensor", parameter)  # this device's piece, under FSDP
    return here.numel() * here.element_size()


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
