"""Apache Beam as the engine of a publication: every task is an element, which any worker carries out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from rldg.errors import DatasetError


@dataclass(frozen=True)
class BeamEngine:
    """Carries tasks out in a Beam pipeline.

    The graph holds the tasks' paths and nothing of the episodes, so that the runner moves kilobytes whatever the size
    of the data. A worker that dies has its tasks repeated by the runner, as far as that one repeats.

    Args:
        options: `PipelineOptions`: the runner and its flags. Without a runner, or with the DirectRunner, it is Beam's
            FnApiRunner on this machine (the DirectRunner itself looks for a program, Prism, in the internet first).
        runner: a runner, in place of the one that the options name.
    """

    options: Any = None
    runner: Any = None

    def __call__(self, carry_out: Callable[[str], None], paths: Sequence[str]) -> None:
        """Carries out every one of the tasks in `paths`. Raises `DatasetError` if the pipeline fails."""
        if not paths:
            return
        options = self.options or PipelineOptions([])
        named = options.view_as(StandardOptions).runner
        runner = self.runner or (FnApiRunner() if named in (None, "DirectRunner") else None)
        try:
            with beam.Pipeline(runner=runner, options=options) as pipeline:
                _ = pipeline | beam.Create(list(paths)) | beam.Reshuffle() | beam.Map(carry_out)
        except Exception as error:  # each runner has errors of its own
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise DatasetError(
                f"The Beam pipeline failed ({reason[-1][:300]}); what is finished stays, and the same command goes on."
            ) from error


def local_options(workers: int) -> PipelineOptions:
    """This machine with so many worker processes."""
    mode = "multi_processing" if workers > 1 else "in_memory"
    return PipelineOptions([f"--direct_num_workers={workers}", f"--direct_running_mode={mode}"])


def beam_options(text: str) -> PipelineOptions:
    """Options in the notation of `tfds build --beam_pipeline_options`: "runner=FlinkRunner,parallelism=8"."""
    return PipelineOptions([f"--{option}" for option in text.split(",")])
