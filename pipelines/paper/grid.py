"""Runs a grid of cells: each as soon as the cells that it needs are there, as many side by side as there are lanes."""

import math
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
from rldg.workers import map_episodes

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
        engine: where each runs; by default in a process of this machine.

    Raises:
        PipelineError: when cells failed, after all others have ended; it names them and their logs.
        StageError: when another process works in `root`.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        todo = unfinished(cells)
        with Progress(root, list(todo.values()), lanes) as progress, ThreadPoolExecutor(lanes) as pool:
            try:
                failed = _run_all(todo, pool, engine or InProcess(), progress)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if failed:
        names = "; ".join(f"{cell}: {error} ({cell.log})" for cell, error in failed.items())
        raise PipelineError(f"{len(failed)} cells failed, and what needs them was left out: {names}")


def _run_all(
    todo: dict[Path, Cell], pool: ThreadPoolExecutor, engine: Engine, progress: Progress
) -> dict[Cell, RldgError]:
    """Runs the cells in the order of their needs; returns those that failed."""
    needs = {folder: [need.folder for need in cell.needs if need.folder in todo] for folder, cell in todo.items()}
    order = TopologicalSorter(needs)
    order.prepare()
    running: dict[Future[float], Cell] = {}
    failed: dict[Cell, RldgError] = {}
    while order.is_active():
        ready = [todo[folder] for folder in order.get_ready()]
        running |= {pool.submit(_on_engine, engine, cell, progress): cell for cell in ready}
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


def _on_engine(engine: Engine, cell: Cell, progress: Progress) -> float:
    """One cell on a worker of its own, another one if that dies; this thread waits for it."""
    progress.begin(cell)
    ((_, seconds),) = map_episodes(run_cell, [cell], engine, timeout=math.inf)
    return seconds
