"""Tasks and their results as files: what is done stays done, whichever machine did it and whatever was killed.

A task is a small JSON file. Carrying it out writes a result beside it, so an engine has to pass on nothing but the
tasks' paths, may carry one out twice, and need not report back.
"""

import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

from rldg.data.publishing.files import as_path, read_json, write_json
from rldg.errors import DatasetError

Task = dict[str, Any]
Work = Callable[[Task], dict[str, Any]]  # a function of a module, so that its name is all that a worker is sent
Engine = Callable[[Callable[[str], None], Sequence[str]], None]  # calls the function on every one of the paths

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def in_process(carry_out: Callable[[str], None], paths: Sequence[str]) -> None:
    """The simplest engine: one task after the other, here."""
    for path in paths:
        carry_out(path)


def run_tasks(
    kind: str, work: Work, tasks: Sequence[Task], folder: Any, engine: Engine, unit: str
) -> list[dict[str, Any]]:
    """Carries out those tasks that have no result yet, and returns the results of all in their order.

    Args:
        kind: by which the files of these tasks are told from others in the folder.
        work: gives a task's result.
        tasks: JSON; the same ones whenever this is called for the same folder.
        folder: of tasks and results, seen by all workers.
        engine: where the work is done.
        unit: what a task is called in the progress bar, on standard error.

    Raises:
        DatasetError: the first fault in the data that a task met. It is forgotten: the next call tries again.
    """
    paths = [folder / f"{kind}-{number:05d}.json" for number in range(len(tasks))]
    standing = {path.name for path in folder.glob(f"{kind}-*.json")}
    for path, task in zip(paths, tasks, strict=True):
        if path.name not in standing:
            write_json(path, task)
    missing = [path for path in paths if _result(path).name not in standing]
    with _progress(kind, unit, len(paths), folder):
        engine(partial(carry_out, work), [str(path) for path in missing])
    results = [read_json(_result(path)) for path in paths]
    faulty = [path for path, result in zip(paths, results, strict=True) if "fault" in result]
    for path in faulty:
        _result(path).unlink()
    if faulty:
        others = f" ({len(faulty) - 1} other tasks failed, too.)" if len(faulty) > 1 else ""
        raise DatasetError(next(result["fault"] for result in results if "fault" in result) + others)
    return results


def carry_out(work: Work, path: str) -> None:
    """Does one task on a worker. Faults in the data are results; all else is for the engine to repeat or to raise."""
    task = as_path(path)
    try:
        result = work(read_json(task))
    except DatasetError as error:
        result = {"fault": str(error)}
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        result = {"fault": f"No space is left for {error.filename or 'what is being written'} ({error.strerror})."}
    write_json(_result(task), result)


def _result(path: Any) -> Any:
    return path.with_name(path.name.removesuffix(".json") + ".result.json")


@contextmanager
def _progress(kind: str, unit: str, total: int, folder: Any) -> Iterator[None]:
    """A bar that counts results while the body runs, since not every engine tells how far it is."""
    done = threading.Event()

    def watch(bar: Any) -> None:
        while not done.wait(0.5):
            bar.update(sum(1 for _ in folder.glob(f"{kind}-*.result.json")) - bar.n)

    with tqdm(total=total, unit=unit, desc=kind, dynamic_ncols=True) as bar:
        watcher = threading.Thread(target=watch, args=(bar,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join(timeout=60)
            bar.update(sum(1 for _ in folder.glob(f"{kind}-*.result.json")) - bar.n)
