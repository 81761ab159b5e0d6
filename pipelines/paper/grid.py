"""Runs a grid of cells: each as soon as the cells that it needs are there, as many side by side as there are lanes."""

import math
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from pathlib import Path

from pipelines.paper.cell import Cell, run_cell
from pipelines.paper.forecast import Progress
from pipelines.verbs import PipelineError
from rldg.engines import Engine, InProcess
from rldg.errors import RldgError
from rldg.stage import locked
from rldg.workers import Crew

LOOK_SECONDS = 2.0  # between looks at the clock, for the forecast


def unfinished(cells: Iterable[Cell]) -> dict[Path, Cell]:
    """The cells that have to be run for `cells`, by folder: unfinished ones, and what those need in turn."""
    found: dict[Path, Cell] = {}
    waiting = list(cells)
    while waiting:
        cell = waiting.pop()
        if cell.folder not in found and not cell.finished:
            found[cell.folder] = cell
            waiting += cell.needs
    return found


def run_grid(root: Path, cells: Iterable[Cell], lanes: int, engine: Engine | None = None) -> None:
    """Runs what is unfinished of `cells` and of what they need. After a kill the same call goes on.

    A cell that fails stops those that need it, and no others.

    Args:
        root: folder of the cells; one process at a time works in it.
        cells: what is wanted.
        lanes: cells that run side by side.
        engine: where each runs, one at a time; by default each in a process of this machine.

    Raises:
        PipelineError: when cells failed, after all others have ended; it names them and their logs.
        StageError: when another process works in `root`.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        todo = unfinished(cells)
        with Progress(root, list(todo.values()), lanes) as progress:
            crews = _Lanes(lanes, engine or InProcess(), progress)
            try:
                failed = _run_all(todo, crews, progress)
            finally:
                crews.stop()
    if failed:
        names = "; ".join(f"{cell}: {error} ({cell.log})" for cell, error in failed.items())
        raise PipelineError(f"{len(failed)} cells failed, and what needs them was left out: {names}")


def _run_all(todo: dict[Path, Cell], lanes: "_Lanes", progress: Progress) -> dict[Cell, RldgError]:
    """Runs the cells in the order of their needs; returns those that failed."""
    order = TopologicalSorter(
        {folder: [need.folder for need in cell.needs if need.folder in todo] for folder, cell in todo.items()}
    )
    order.prepare()
    running: dict[Future[float], Cell] = {}
    failed: dict[Cell, RldgError] = {}
    while order.is_active():
        running |= {lanes.submit(todo[folder]): todo[folder] for folder in order.get_ready()}
        if not running:  # all that is left needs a cell that failed
            break
        done, _ = wait(running, LOOK_SECONDS, FIRST_COMPLETED)
        for future in done:
            cell = running.pop(future)
            try:
                progress.end(cell, future.result())
            except RldgError as error:
                failed[cell] = error
                progress.fail(cell)
            else:
                order.done(cell.folder)
        progress.show()
    return failed


class _Lanes:
    """Threads, each of which waits for one cell at a time, on a worker of the engine."""

    def __init__(self, lanes: int, engine: Engine, progress: Progress) -> None:
        self._engine, self._progress = engine, progress
        self._pool = ThreadPoolExecutor(lanes)
        self._crews: list[Crew] = []

    def submit(self, cell: Cell) -> Future[float]:
        """Runs `cell` when a lane is free; its seconds."""
        return self._pool.submit(self._run, cell)

    def _run(self, cell: Cell) -> float:
        self._progress.begin(cell)
        crew = Crew(run_cell, self._engine, math.inf, "cell")
        self._crews.append(crew)
        try:
            for _, seconds in crew.outcomes(iter([cell])):
                return seconds
        finally:
            crew.dismiss()
        raise PipelineError(f"{cell} was stopped.")

    def stop(self) -> None:
        """Ends what runs, here or on other machines, and waits for it; the processes here are those of cells."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for crew in self._crews:
            crew.close()
        for process in multiprocessing.active_children():
            process.terminate()
        self._pool.shutdown()
