"""What a fine-tuning says while it runs: a progress bar, `metrics.jsonl` and TensorBoard scalars."""

import json
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tqdm import tqdm

METRICS = "metrics.jsonl"


class Progress:
    """One line of metrics per report. On a resume, lines after `step` are dropped: they come again."""

    def __init__(self, folder: Path, step: int, steps: int) -> None:
        path = folder / METRICS
        kept = _lines_until(path, step)
        self.last: dict[str, float] = json.loads(kept[-1]) if kept else {}  # what was reported last
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, open as long as the training runs
        self._file.writelines(kept)
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        self._bar = tqdm(total=steps, initial=step, unit="update", desc="octo", dynamic_ncols=True)

    def advance(self) -> None:
        """One update more."""
        self._bar.update()

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes the metrics of `step`."""
        rounded = {name: float(f"{float(value):.6g}") for name, value in metrics.items()}
        self.last = {"step": step} | rounded
        self._file.write(json.dumps(self.last) + "\n")
        self._file.flush()
        for name, value in rounded.items():
            self._tensorboard.add_scalar(name, value, step)
        self._bar.set_postfix_str(", ".join(f"{name} {value:.3g}" for name, value in rounded.items()))

    def close(self) -> None:
        """Ends bar and files."""
        self._bar.close()
        self._tensorboard.close()
        self._file.close()


def _lines_until(path: Path, step: int) -> list[str]:
    kept: list[str] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except json.JSONDecodeError:  # the line that a killed process was writing
                break
    return kept
