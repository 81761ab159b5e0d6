"""LoRA adapters (Hu et al. 2021), put on a model to be trained and written in peft's format."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from rldg.errors import UsageError
from rldg.generalists.openvla.recipes import FinetuneConfig
from rldg.stage import write_durably, write_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ADAPTER = re.compile(r"\.lora_([AB])\.default\.weight$")


def linear_layers(model: nn.Module) -> list[str]:
    """Last names of all linear layers: what peft makes of "all-linear" on the original.

    The vision towers' convolution shares its name with a linear layer, so that it gets an adapter too.
    """
    return sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)})


def add_adapters(model: nn.Module, config: FinetuneConfig) -> dict[str, Any]:
    """Puts adapters (float32) on `model`, drawn from PyTorch's random state, and freezes everything else.

    Returns the content of `adapter_config.json`. Raises `UsageError` if `config.lora_layers` names what is not there.
    """
    from peft import LoraConfig, inject_adapter_in_model  # seconds

    valid = linear_layers(model)
    unknown = sorted(set(config.lora_layers) - set(valid))
    if unknown:
        raise UsageError(f"There is no linear layer {', '.join(unknown)}; valid: {', '.join(valid)}.")
    chosen: dict[str, Any] = {
        "r": config.lora_rank,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": config.lora_dropout,
        "target_modules": sorted(config.lora_layers) or valid,
        "init_lora_weights": "gaussian",
        "bias": "none",
    }
    inject_adapter_in_model(LoraConfig(**chosen), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(bool(_ADAPTER.search(name)))
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    # No entry that the original's peft (0.11) does not know: it refuses them.
    return chosen | {"peft_type": "LORA", "task_type": None, "fan_in_fan_out": False, "inference_mode": True}


def save_adapters(folder: Path, weights: Mapping[str, Tensor], description: Mapping[str, Any], base: str) -> None:
    """Writes peft's two files; `base` is what the adapters belong to, a folder or a name on the hub."""
    named = {
        "base_model.model." + _ADAPTER.sub(r".lora_\1.weight", name): weight.contiguous()
        for name, weight in weights.items()
        if _ADAPTER.search(name)
    }
    write_durably(folder / WEIGHTS, save(named, {"format": "pt"}))
    write_json(folder / CONFIG, dict(description) | {"base_model_name_or_path": base})
