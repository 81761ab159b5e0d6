"""Run folders: a `stage.json` per stage says what was run on what; a finished one is reused while that is the same."""

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from rldg import __version__
from rldg.errors import StageChangedError, StageError, StorageError, UsageError

RECORD = "stage.json"
PACKAGES = ("numpy", "mujoco", "gymnasium", "jax", "flax", "optax", "tensorflow-datasets", "torch")


def write_durably(path: Path, *content: bytes, lasting: bool = True) -> None:
    """Writes so that after a crash `path` is either absent or older, or whole: contents first, then the name.

    The pieces of `content` follow each other. Unless `lasting`, a power cut just after may bring the older file back.
    Raises `StorageError` if the disk takes no more; what it had taken of the content is removed again.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if lasting:
            flush_to_disk(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path} could not be written: {error.strerror}; what was finished before it is whole, and the same "
            f"command continues once that is mended."
        ) from error


def flush_to_disk(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any) -> None:
    """Writes `content` so that a reader sees the old file or the new one, never half of it."""
    write_durably(path, json.dumps(content, indent=2).encode())


def file_hash(path: Path) -> str:
    """SHA-256 (16 hex digits) of a file's bytes, or of the names and bytes in a folder.

    A folder's own bookkeeping (`stage.json` with its times, hidden and temporary files) does not count, so that the
    same content has the same hash whenever it was made.
    """
    if path.is_file():
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:16]
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path)
        if name.name == RECORD or name.suffix == ".tmp" or any(part.startswith(".") for part in name.parts):
            continue
        digest.update(f"{name}:{file.stat().st_size}:".encode())
        with open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]


@cache
def code_version() -> str:
    """The package's version, followed in a git checkout by the commit, and "dirty" if files were changed since."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return __version__
    try:
        commit = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=.dirty", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit.stdout.strip()}"


def now() -> str:
    """The time to put on record, ISO 8601 in UTC; SOURCE_DATE_EPOCH [s] takes its place, for identical bytes."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        moment = datetime.fromtimestamp(int(fixed), UTC) if fixed else datetime.now(UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH must be a whole number of seconds since 1970, not '{fixed}'.") from None
    return moment.isoformat(timespec="seconds")


@dataclass
class Stage:
    """A stage in progress. Put what it found into `result`; `began` is its first start, also after a resume."""

    folder: Path
    began: str
    finished: bool
    result: dict[str, Any] = field(default_factory=dict)


@contextmanager
def stage(
    folder: Path,
    command: str,
    configuration: Mapping[str, Any],
    *,
    seed: int = 0,
    inputs: Mapping[str, str] | None = None,
    resume: bool = True,
    overwrite: bool = False,
) -> Iterator[Stage]:
    """Opens the run folder of one stage and writes its `stage.json` when the body ends without an exception.

    `configuration` and `inputs` (name -> hash) decide whether the folder belongs to the same run. A finished stage
    comes back with `finished` true and its old result: the body should then return at once, or extend it and set the
    new result. An unfinished one is for the body to continue, unless `resume` is false. `overwrite` empties the folder
    of an earlier run first.

    Raises:
        StageError: the folder holds another configuration, or another process works in it, or `overwrite` was asked
            for a folder with files in it that no run of ours made.
    """
    identity = json.loads(
        json.dumps(
            {"command": command, "configuration": dict(configuration), "seed": seed, "inputs": dict(inputs or {})},
            default=str,
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if overwrite:
            _empty(folder)
        record = _previous(folder, identity, resume)
        current = Stage(folder, record["began"], record["finished"], record.get("result", {}))
        if current.finished:
            yield current
            if current.result != record.get("result", {}):  # it was extended
                write_json(folder / RECORD, record | {"result": current.result})
            return
        write_json(folder / RECORD, record)
        started, before = time.monotonic(), record["duration_seconds"]

        def save() -> None:
            record["duration_seconds"] = round(before + time.monotonic() - started, 3)
            write_json(folder / RECORD, record)

        try:
            yield current
        except BaseException:  # an interrupted attempt counts; of a killed one nobody knows how long it ran
            with suppress(StorageError):
                save()
            raise
        record |= {"finished": True, "result": current.result}
        save()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the folder; the lock goes with the process, however that ends.

    Raises `StageError`, naming the process, if another one works in it.
    """
    with open(folder / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read() or "unknown"
            raise StageError(f"{folder} is in use by process {owner}; wait for it or choose another folder.") from None
        lock.truncate(0)
        with suppress(OSError):  # on a full disk the lock still holds, only unsigned
            os.write(lock.fileno(), f"{os.getpid()} on {platform.node()} ({shlex.join(sys.argv)})".encode())
        yield


def _empty(folder: Path) -> None:
    """Removes what a run left, its record last: a removal that is killed half-way is seen, and can be repeated."""
    rest = [path for path in folder.iterdir() if path.name not in (RECORD, ".lock")]
    if rest and not (folder / RECORD).exists():
        raise StageError(f"{folder} holds files but no run of ours ({RECORD}), so --overwrite will not empty it.")
    for path in rest:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / RECORD).unlink(missing_ok=True)


def _previous(folder: Path, identity: dict[str, Any], resume: bool) -> dict[str, Any]:
    """The record of the run in the folder, or that of a new one; raises `StageError` if it may not be continued."""
    path = folder / RECORD
    if not path.exists():
        return identity | {
            "argv": sys.argv,
            "began": now(),
            "finished": False,
            "duration_seconds": 0.0,
            "code_version": code_version(),
            "packages": installed(),
            "machine": machine(),
        }
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        differing = _differences({key: record[key] for key in identity}, identity)
        finished = record["finished"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StageError(f"{path} is not the record of a run ({error!r}); pass --overwrite to start afresh.") from None
    if differing:
        raise StageChangedError(
            f"{folder} holds a run of another configuration ({'; '.join(differing)}): repeat its settings to continue "
            f"it (--resume), pass --overwrite to replace it, or choose another folder."
        )
    if not finished and not resume:
        raise StageError(
            f"{folder} holds an unfinished run; pass --resume to continue it or --overwrite to replace it."
        )
    return record


def _differences(there: Any, here: Any, name: str = "") -> list[str]:
    """One "setting: value there, value here" for each leaf in which two JSON values differ."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = sorted(there.keys() | here.keys())
        return [
            line for key in keys for line in _differences(there.get(key), here.get(key), f"{name}.{key}".lstrip("."))
        ]
    return [] if there == here else [f"{name}: {there!r} there, {here!r} here"]


def machine() -> dict[str, Any]:
    """What a run is on record to have run on."""
    return {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}


def installed() -> dict[str, str]:
    """Versions of the packages that decide numbers."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
