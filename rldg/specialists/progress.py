"""What a training says while it runs: a progress bar, `metrics.jsonl` and TensorBoard scalars."""

import json
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter
from tqdm import tqdm

METRICS = "metrics.jsonl"


class Progress:
    """Writes one line of metrics per round. On a resume, lines after the checkpoint are dropped: they come again."""

    def __init__(self, folder: Path, env_steps: int, most_env_steps: int) -> None:
        path = folder / METRICS
        kept = _lines_until(path, env_steps)
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115, open as long as the training runs
        self._file.writelines(kept)
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=env_steps)
        self._bar = tqdm(total=most_env_steps, initial=env_steps, unit="step", desc="specialist", dynamic_ncols=True)

    def report(self, metrics: Mapping[str, float]) -> None:
        """Reports one round; `metrics` holds `env_steps`, `success` and `candidate_successes` among others."""
        self._file.write(json.dumps({name: _rounded(value) for name, value in metrics.items()}) + "\n")
        self._file.flush()
        for name, value in metrics.items():
            if name != "env_steps":
                self._tensorboard.add_scalar(name, value, int(metrics["env_steps"]))
        self._bar.update(int(metrics["env_steps"]) - self._bar.n)
        self._bar.set_postfix_str(
            f"success {metrics['success']:.2f}, candidate {metrics['candidate_successes']:.0f} in a row"
        )

    def close(self) -> None:
        """Ends bar and files."""
        self._bar.close()
        self._tensorboard.close()
        self._file.close()


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _lines_until(path: Path, env_steps: int) -> list[str]:
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if json.loads(line)["env_steps"] <= env_steps:
                kept.append(line)
        except json.JSONDecodeError:  # the line that a killed process was writing
            break
    return kept
