"""The run folder of a training that one process keeps and others follow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rldg.stage import Stage, stage


@contextmanager
def training_stage(
    generalist: str,
    out: Path,
    configuration: Mapping[str, Any],
    seed: int,
    inputs: Mapping[str, str],
    *,
    overwrite: bool,
    leads: bool,
) -> Iterator[Stage]:
    """The stage in the run folder, which the leading process keeps; to the others nothing seems finished."""
    if not leads:
        yield Stage(out, began="", finished=False)
        return
    with stage(out, f"finetune {generalist}", configuration, seed=seed, inputs=inputs, overwrite=overwrite) as run:
        yield run
