"""What a training says while it runs: a progress bar, `metrics.jsonl` and TensorBoard scalars."""

import json
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tqdm import tqdm

METRICS = "metrics.jsonl"


class Progress:
    """Writes one line of metrics per round. On a resume, lines of later rounds are dropped: they come again.

    Args:
        folder: the run folder.
        last: the last round that is done.
        done: units of the budget that are spent: environment steps, or updates where nothing is explored.
        budget: all of them.
    """

    def __init__(self, folder: Path, last: int, done: int, budget: int) -> None:
        path = folder / METRICS
        kept = _lines_until(path, last)
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, open as long as the training runs
        self._file.writelines(kept)
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=done)
        self._bar = tqdm(total=budget, initial=done, unit="step", desc="specialist", dynamic_ncols=True)

    def report(self, done: int, metrics: Mapping[str, float]) -> None:
        """Reports one round, after which `done` of the budget is spent."""
        self._file.write(json.dumps({name: _rounded(value) for name, value in metrics.items()}) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            self._tensorboard.add_scalar(name, value, done)
        self._bar.update(done - self._bar.n)
        success = f"success {metrics['success']:.2f}, " if "success" in metrics else ""
        self._bar.set_postfix_str(f"{success}candidate {metrics['candidate_successes']:.0f} in a row")

    def close(self) -> None:
        """Ends bar and files."""
        self._bar.close()
        self._tensorboard.close()
        self._file.close()


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _lines_until(path: Path, last: int) -> list[str]:
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["round"] <= last:
                kept.append(line)
        except json.JSONDecodeError:  # the line that a killed process was writing
            break
    return kept
