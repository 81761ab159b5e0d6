"""Weights of the language model in 8 or 4 bits, by way of bitsandbytes where it is installed."""

from typing import Any, Literal, get_args

import torch
from torch import nn

from rldg.errors import UsageError

Bits = Literal[8, 4]


def quantise(model: Any, bits: Bits, device: str) -> Any:
    """`model` on `device`, the linear layers of its Llama (not `lm_head`) in `bits`: LLM.int8(), or 4-bit NormalFloat.

    Raises `UsageError` if bitsandbytes is not installed.
    """
    if bits not in get_args(Bits):
        raise UsageError(f"Weights are quantised to 8 or 4 bits, not to {bits}.")
    try:
        import bitsandbytes as bnb  # an option: it needs a GPU of the right kind
    except ImportError:
        raise UsageError(
            f"Weights in {bits} bits need bitsandbytes, which is not installed: pip install 'rldg[quantised]'."
        ) from None
    library: Any = bnb  # whose types lack its parameters' options
    for name, layer in list(model.language_model.model.layers.named_modules()):
        if not isinstance(layer, nn.Linear):
            continue
        if bits == 8:
            made = library.nn.Linear8bitLt(layer.in_features, layer.out_features, bias=False, has_fp16_weights=False)
            made.weight = library.nn.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
        else:
            compute = torch.bfloat16
            made = library.nn.Linear4bit(layer.in_features, layer.out_features, bias=False, compute_dtype=compute)
            made.weight = library.nn.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
        parent, _, leaf = name.rpartition(".")
        setattr(model.language_model.model.layers.get_submodule(parent), leaf, made.to(device))
    return model.to(device)
