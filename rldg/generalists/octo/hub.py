"""Octo's checkpoints on the Hugging Face hub."""

import re
from pathlib import Path

from rldg.errors import CheckpointError
from rldg.generalists.hub import TIMEOUT, download, hub_id

_DESCRIPTION = ("config.json", "example_batch.msgpack", "dataset_statistics.json", "tokenizer/*")
_WEIGHTS = re.compile(r"(\d+)/default/(checkpoint|manifest\.ocdbt)")


def download_checkpoint(text: str | Path, step: int | None = None) -> tuple[Path, int]:
    """The local folder of a checkpoint on the hub, and the step of its weights that was fetched: the last by default.

    Nothing but that step, its description and its tokenizer is downloaded. Raises `CheckpointError` as `download`, and
    if there is no such step.
    """
    repository, revision = hub_id(text)
    folder = download(repository, _DESCRIPTION, revision)
    steps = _published_steps(repository, folder)
    if not steps or (step is not None and step not in steps):
        raise CheckpointError(
            f"hf://{repository} has no Octo weights of step {'any' if step is None else step}; it has {sorted(steps)}."
        )
    found = max(steps) if step is None else step
    return download(repository, (f"{found}/*",), folder.name), found  # of the same commit, whatever is pushed meanwhile


def _published_steps(repository: str, folder: Path) -> set[int]:
    """The steps whose weights the snapshot in `folder` has on the hub; those in the cache when it is out of reach."""
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(repository, revision=folder.name, timeout=TIMEOUT).siblings or ()
        files = [file.rfilename for file in found]
    except Exception:  # whatever it is, what was downloaded before can serve
        files = [str(path.relative_to(folder)) for path in folder.glob("*/default/*")]
    return {int(match[1]) for file in files if (match := _WEIGHTS.fullmatch(file))}
