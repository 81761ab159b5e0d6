"""One update of a model: loss, gradients, AdamW; on one process, or on several through accelerate."""

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from rldg.data.normalisation import Normalisation
from rldg.generalists.openvla.config import ACTION_DIMENSIONS
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.objective import Batch, Objective
from rldg.generalists.openvla.optimizers import learning_rate, make_optimizers
from rldg.generalists.openvla.recipes import FinetuneConfig


class Learner:
    """Trains what of `model` wants gradients. `scale` (7,) brings errors of normalised actions to the data's units."""

    def __init__(
        self, model: OpenVLA, config: FinetuneConfig, seed: int, scale: np.ndarray, accelerator: Accelerator
    ) -> None:
        self.config, self.seed, self.scale, self.accelerator = config, seed, scale, accelerator
        for parameter in unreached(model):
            parameter.requires_grad_(False)
        # Adapters that stay as they were drawn belong to a file of adapters all the same.
        self.idle_adapters = {
            name: parameter.detach().cpu().clone()
            for name, parameter in model.named_parameters()
            if ".lora_" in name and not parameter.requires_grad
        }
        if config.checkpoint_blocks:
            model.checkpoint_activations()
        if config.compile:
            model.compile()
        objective = Objective(model, bfloat16=config.compute == "bfloat16", spread=config.target_spread)
        self.objective, *self._prepared = accelerator.prepare(objective, *make_optimizers(objective, config))
        self.settled = True  # False from when an update changes the weights until the loop has counted it

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """PyTorch's own: AdamW, and Muon if it is used."""
        return [prepared.optimizer for prepared in self._prepared]

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.accelerator.is_main_process

    @property
    def alone(self) -> bool:
        """Whether no other process trains along."""
        return self.accelerator.num_processes == 1

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch on its device, in as many equal parts as are computed one after the other."""
        size = len(batch["input_ids"]) // self.config.accumulate
        for first in range(0, size * self.config.accumulate, size):
            yield {name: value[first : first + size].to(self.accelerator.device) for name, value in batch.items()}

    def update(self, step: int, batch: Batch) -> dict[str, float]:
        """Carries out update number `step` on this process's share of a batch; what it found, over all processes.

        Gradients start from zero at every update, and the loss of each part counts by its share of the batch.
        Random numbers follow from seed, step and process alone.
        """
        config, parts = self.config, self.config.accumulate
        own = np.random.default_rng([self.seed, step, self.accelerator.process_index])
        torch.manual_seed(int(own.integers(2**63)))
        self.objective.train()
        total = torch.zeros(ACTION_DIMENSIONS + 2, device=self.accelerator.device)
        for number, part in enumerate(self.parts(batch)):
            with self._between(number + 1 < parts):
                loss, found = self.objective(part)
                self.accelerator.backward(loss / parts)
            total += torch.cat([loss.detach()[None], found]) / parts
        norm = self.accelerator.clip_grad_norm_(self._trained(), config.clip_gradient or math.inf)
        rate = learning_rate(config, step)
        self.settled = False
        for optimizer in self._prepared:
            for group in optimizer.param_groups:
                group["lr"] = rate * (config.matrix_rate if "momentum" in group else 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return self._named(total) | {"gradient_norm": _number(norm), "learning_rate": rate}

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> dict[str, float]:
        """What an update on the batch would find, over all processes."""
        self.objective.eval()
        parts = [torch.cat([loss[None], found]) for loss, found in map(self.objective, self.parts(batch))]
        return self._named(torch.stack(parts).mean(0))

    def _trained(self) -> list[Tensor]:
        return [parameter for parameter in self.objective.parameters() if parameter.requires_grad]

    def _between(self, more: bool) -> Any:
        """Processes compare notes after the last part only."""
        return self.accelerator.no_sync(self.objective) if more else nullcontext()

    def _named(self, found: Tensor) -> dict[str, float]:
        mean: Any = self.accelerator.reduce(found, "mean")
        loss, accuracy, *errors = mean.tolist()
        return {"loss": loss, "action_accuracy": accuracy} | named_errors(np.array(errors), self.scale)


def named_errors(errors: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Mean errors (7,) of normalised actions as one number, and in metres and radians."""
    real = errors * scale
    return {
        "action_l1": float(errors.mean()),
        "position_l1_m": float(real[:3].mean()),
        "rotation_l1_rad": float(real[3:6].mean()),
    }


def error_scale(statistics: Mapping[str, Any]) -> np.ndarray:
    """(7,): how much of the data's units a difference of 1 between normalised actions is."""
    found = Normalisation.of(dict(statistics), mode="bounds_q99")
    return np.where(found.mask, found.spread / 2, 1.0)


def unreached(model: OpenVLA) -> Iterator[nn.Parameter]:
    """Weights of the published model that no output depends on: behind the layer that features are taken from."""
    for tower in model.vision_backbone.towers():
        for name, module in tower.named_children():
            if name == "blocks":
                yield from list(module.children())[-1].parameters()
            elif name in ("norm", "attn_pool"):
                yield from module.parameters()
    if model.config.decoding == "parallel":
        yield from model.language_model.lm_head.parameters()


def _number(value: Any) -> float:
    return float(value.full_tensor() if hasattr(value, "full_tensor") else value)  # FSDP's norm lies in pieces
