"""The folder that an export or import fills: it is locked, belongs to one run, and is started afresh after a kill."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rldg.errors import DatasetError, UsageError
from rldg.stage import RECORD, Stage, file_hash, stage


@contextmanager
def exchange(
    source: Path, out: Path, command: str, configuration: Mapping[str, Any], *, overwrite: bool
) -> Iterator[Stage]:
    """The stage in which `out` is filled from `source`; what an interrupted one left is removed first.

    Raises:
        DatasetError: there is no source, one folder lies in the other, or `out` holds files that are not of such a run.
        StageError: `out` holds another run, or is in use.
    """
    source, out = source.resolve(), out.resolve()
    if not source.exists():
        raise DatasetError(f"{source} does not exist.")
    if source == out or source in out.parents or out in source.parents:
        raise DatasetError(
            f"{out} and {source} lie in each other; choose a folder apart, for originals stay as they are."
        )
    begun = (".lock", RECORD + ".tmp")  # what a run leaves that was killed before its record stood
    strangers = [path.name for path in out.iterdir() if path.name not in begun] if out.exists() else []
    if strangers and RECORD not in strangers:
        raise DatasetError(f"{out} holds files that are not of an earlier run of this; choose a new folder.")
    inputs = {"source": file_hash(source)}
    try:
        with stage(out, command, configuration, inputs=inputs, overwrite=overwrite) as current:
            if not current.finished:
                for path in out.iterdir():
                    if path.name not in (RECORD, ".lock"):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield current
    except UsageError:  # raised before anything is written: the folder is free for a command that can be carried out
        (out / RECORD).unlink(missing_ok=True)
        raise
