"""What every export has in common."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from rldg.data.exchange.folder import exchange
from rldg.data.exchange.selection import open_splits
from rldg.data.reader import Dataset


class Exporter(Protocol):
    """A foreign format with the choices it offers: a frozen dataclass."""

    def write(self, splits: dict[str, Dataset], out: Path, advance: Callable[[], Any]) -> dict[str, Any]:
        """Writes the episodes to the empty folder `out`, calls `advance` after each, and says what it wrote."""
        ...


def export_dataset(
    folder: Path,
    out: Path,
    exporter: Exporter,
    *,
    drop: Sequence[str] = (),
    successes: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes the data set in `folder` to `out` in another format, episode by episode, and returns what it wrote.

    The data set is only read. Interrupted, the same command starts afresh; finished, it returns what it found then.

    Args:
        folder: of an RLDS data set, of ours or another making.
        out: folder to fill.
        exporter: `LeRobotExport`, `RobomimicExport` or `RldsExport`.
        drop: step columns to leave out, such as "observation/tcp_in_target".
        successes: whether failed episodes are left out.
        overwrite: empties `out` first.

    Raises:
        DatasetError: the data set is broken, or `out` holds something else.
        StageError: `out` belongs to another export or is in use.
    """
    choices = asdict(exporter)  # type: ignore[call-overload]
    configuration = {"format": type(exporter).__name__, **choices, "drop": sorted(drop), "successes": successes}
    with exchange(folder, out, "data export", configuration, overwrite=overwrite) as current:
        if not current.finished:
            splits = open_splits(folder, drop=drop, successes=successes)
            total = sum(map(len, splits.values()))
            with tqdm(total=total, unit="episode", desc=out.name, dynamic_ncols=True) as bar:
                current.result = exporter.write(splits, out, bar.update)
    return current.result
