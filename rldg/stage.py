"""Run folders: one `stage.json` per finished stage says what was run on what, and is reused while that has not changed."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rldg import __version__
from rldg.errors import StageError

PACKAGES = ("numpy", "mujoco", "gymnasium", "jax", "flax", "optax", "tensorflow-datasets", "torch")


def write_json(path: Path, content: Any) -> None:
    """Writes `content` so that a reader sees the old file or the new one, never half of it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def file_hash(path: Path) -> str:
    """SHA-256 (16 hex digits) of a file, or of a folder's `stage.json`-independent content names and bytes."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


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
    comes back with `finished` true and its old result: the body should then return at once. Raises `StageError` when
    the folder holds another configuration, or another process works in it.
    """
    identity = json.loads(json.dumps(
        {"command": command, "configuration": dict(configuration), "seed": seed, "inputs": dict(inputs or {})}, default=str
    ))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise StageError(f"{folder} is in use by process {lock.read() or 'unknown'}; wait for it or choose another folder.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if overwrite:
            for path in folder.iterdir():
                if path.name != ".lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        record = _previous(folder, identity, resume)
        current = Stage(folder, record["began"], record["finished"], record.get("result", {}))
        if current.finished:
            yield current
            return
        write_json(folder / "stage.json", record)
        started = time.monotonic()
        yield current
        record |= {
            "finished": True,
            "duration_seconds": round(record.get("duration_seconds", 0.0) + time.monotonic() - started, 3),
            "result": current.result,
        }
        write_json(folder / "stage.json", record)


def _previous(folder: Path, identity: dict[str, Any], resume: bool) -> dict[str, Any]:
    path = folder / "stage.json"
    if path.exists():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise StageError(f"{path} is not valid JSON ({error}); pass --overwrite to start afresh.") from None
        differing = [key for key in identity if record.get(key) != identity[key]]
        if differing:
            raise StageError(
                f"{folder} holds a run with another {' and '.join(differing)}; pass --overwrite to replace it, "
                f"or choose another folder."
            )
        if not record["finished"] and not resume:
            raise StageError(f"{folder} holds an unfinished run; pass --resume to continue it or --overwrite to replace it.")
        return record
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return identity | {
        "argv": sys.argv,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": False,
        "code_version": __version__,
        "packages": versions,
        "machine": {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()},
    }
