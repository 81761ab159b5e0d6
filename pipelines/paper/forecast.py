"""One view of the whole grid: what is done, what runs, and how long the rest will take."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from pipelines.paper.cell import Cell

FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"


class Pace:
    """How many times as long as expected cells of a kind have taken on this machine."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = defaultdict(float)
        self._expected: dict[str, float] = defaultdict(float)

    def add(self, kind: str, seconds: float, expected: float) -> None:
        """A cell has ended."""
        self._taken[kind] += seconds
        self._expected[kind] += expected

    def seconds(self, cell: Cell) -> float:
        """How long a cell will take: its own expectation, scaled as cells of its kind were, else as all were."""
        expected = self._expected[cell.kind] or sum(self._expected.values())
        taken = self._taken[cell.kind] if self._expected[cell.kind] else sum(self._taken.values())
        return cell.seconds * (taken / expected if expected else 1.0)


class Progress:
    """A progress bar over cells, with the time that is left behind it; earlier runs' cells count for the pace."""

    def __init__(self, root: Path, cells: Sequence[Cell], lanes: int) -> None:
        self._pace = Pace()
        for record in map(_read, sorted(root.glob("*/*.json"))):
            if "expected_seconds" in record:
                self._pace.add(record["cell"].partition("/")[0], record["seconds"], record["expected_seconds"])
        self._left = {cell.folder: cell for cell in cells}
        self._began: dict[Path, float] = {}
        self._lanes = lanes
        self._bar: tqdm = tqdm(total=len(cells), desc="paper", bar_format=FORMAT, dynamic_ncols=True)

    def __enter__(self) -> Self:
        self.show()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def begin(self, cell: Cell) -> None:
        """It runs from now on."""
        self._began[cell.folder] = time.monotonic()

    def end(self, cell: Cell, seconds: float) -> None:
        """It has ended well."""
        self._pace.add(cell.kind, seconds, cell.seconds)
        self._leave(cell)
        self._bar.update()

    def fail(self, cell: Cell) -> None:
        """It has failed; what needs it will not be run, but that shows only as cells that are left."""
        self._leave(cell)

    def seconds_left(self) -> float:
        """Until all is done: the work that is left over the lanes, but no less than the longest chain of needs."""
        chain: dict[Path, float] = {}
        return max(
            sum(self._seconds(cell) for cell in self._left.values()) / self._lanes,
            max((self._chain(cell, chain) for cell in self._left.values()), default=0.0),
        )

    def show(self) -> None:
        """Draws the bar."""
        running = [str(self._left[folder]) for folder in tuple(self._began)]
        left = tqdm.format_interval(self.seconds_left())
        self._bar.set_postfix_str(f"about {left} left; {', '.join(running)}")

    def _leave(self, cell: Cell) -> None:
        del self._left[cell.folder]
        self._began.pop(cell.folder, None)

    def _seconds(self, cell: Cell) -> float:
        began = self._began.get(cell.folder)
        return max(0.0, self._pace.seconds(cell) - (time.monotonic() - began if began is not None else 0.0))

    def _chain(self, cell: Cell, known: dict[Path, float]) -> float:
        if cell.folder not in self._left:
            return 0.0
        if cell.folder not in known:
            before = max((self._chain(need, known) for need in cell.needs), default=0.0)
            known[cell.folder] = before + self._seconds(cell)
        return known[cell.folder]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
