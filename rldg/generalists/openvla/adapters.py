"""Low-rank adapters (LoRA) in peft's format, on top of a whole checkpoint."""

from pathlib import Path
from typing import Any

from torch import nn

from rldg.errors import CheckpointError
from rldg.generalists.hub import is_hub_id
from rldg.generalists.openvla.source import ADAPTER, read_json

WEIGHTS = "adapter_model.safetensors"


def base_of(folder: Path) -> str | Path:
    """The checkpoint that an adapter is made for, as its `adapter_config.json` names it.

    A folder (absolute, beside the adapter, or from where the program runs), else a name on the hub.

    Raises `CheckpointError` if it names none, or a folder that is not there.
    """
    name = read_json(folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise CheckpointError(f"{folder / ADAPTER} does not name the model that it adapts (base_model_name_or_path).")
    for place in (Path(name), folder / name, folder.absolute().parent / name):
        if place.is_dir():
            return place
    if is_hub_id(name):
        return name
    if name.count("/") == 1 and not name.startswith(("/", ".")):
        return f"hf://{name}"
    raise CheckpointError(f"{folder / ADAPTER} adapts '{name}', which is no folder here and no owner/name on the hub.")


def adapted(model: nn.Module, folder: Path, *, merge: bool) -> Any:
    """`model` with the adapter of `folder`: added into its weights, or beside them as peft's trainable model.

    Raises `CheckpointError` if the adapter is damaged, or does not fit the model.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        pickled = (
            f"; {folder / 'adapter_model.bin'} is a pickle, which is not read" if any(folder.glob("*.bin")) else ""
        )
        raise CheckpointError(f"{folder} has no {WEIGHTS}{pickled}.")
    from peft import PeftConfig, PeftModel  # takes seconds

    try:
        config = PeftConfig.from_pretrained(str(folder))
        found = PeftModel.from_pretrained(model, str(folder), config=config, is_trainable=not merge)
    except Exception as error:  # peft, torch and safetensors each have their own
        raise CheckpointError(f"The adapter in {folder} cannot be put onto its model: {str(error)[:300]}.") from None
    return found.merge_and_unload() if merge else found
