"""What a fine-tuning says while it runs: lines of text, a progress bar, and numbers to all sinks."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.errors import TrainingError
from rldg.generalists.sinks import Sink

OnCheckpoint = Callable[[int, Path], dict[str, float]]  # (step, run folder) to numbers that belong to the step

SETTLING, MEASURED = 3, 10  # updates that are not timed, and updates that are
SHOWN = ("loss", "validation_loss", "success")  # numbers beside the bar


def say(text: str) -> None:
    """Lines of text on standard error, above a bar if there is one."""
    tqdm.write(text, file=sys.stderr)


def check_loss(loss: float, step: int, out: Path) -> None:
    """Raises `TrainingError` if the loss of update `step` is no number: nothing of such a training is to be saved."""
    if step and not math.isfinite(loss):
        raise TrainingError(
            f"The loss in {out} is {loss} at update {step}; checkpoints before it are whole. Lower --learning-rate, or "
            f"clip the gradient (--clip-gradient 1)."
        )


class Progress:
    """Counts updates, times them, and passes on what is reported.

    `name` is that of the generalist; of several processes that train together one is `shown`.
    """

    def __init__(
        self, sinks: Sequence[Sink], step: int, steps: int, batch_size: int, *, name: str, shown: bool = True
    ) -> None:
        self._sinks, self._batch_size, self._shown = sinks, batch_size, shown
        self._bar = tqdm(total=steps, initial=step, unit="update", desc=name, dynamic_ncols=True, disable=not shown)
        self._done, self._started = 0, 0.0

    def advance(self) -> None:
        """One update more; once, a few updates after the start, says how long they take and are going to take."""
        self._bar.update()
        self._done += 1
        if self._done in (SETTLING, SETTLING + MEASURED):
            self._started, before = time.monotonic(), self._started
            if self._done > SETTLING:
                each = (self._started - before) / MEASURED
                rest = tqdm.format_interval(each * (self._bar.total - self._bar.n))
                self._say(f"{each:.3g} s per update, {self._batch_size / each:.3g} samples/s, {rest} to go")

    def _say(self, text: str) -> None:
        if self._shown:
            say(text)

    def report(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Numbers of `step`."""
        rounded = {name: float(f"{float(value):.6g}") for name, value in metrics.items()}
        for sink in self._sinks:
            sink.write(step, rounded)
        rate = self._bar.format_dict["rate"] or 0.0
        texts = [f"{name} {rounded[name]:.3g}" for name in SHOWN if name in rounded]
        self._bar.set_postfix_str(", ".join([*texts, f"{rate * self._batch_size:.0f} samples/s"]))

    def close(self) -> None:
        """Ends bar and files."""
        self._bar.close()
        for sink in self._sinks:
            sink.close()
