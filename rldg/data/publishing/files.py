"""Files on a disk that all workers see, or in an object store (`gs://`, `s3://`), through `etils.epath`."""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etils import epath

from rldg.stage import flush_to_disk


def as_path(text: str | os.PathLike[str]) -> Any:
    """A path on disk, or a URL as a path; both have the methods of `pathlib.Path`."""
    return epath.Path(text)


def is_remote(path: Any) -> bool:
    """Whether `path` leads into an object store."""
    return "://" in str(path)


@contextmanager
def local_copy(path: Any) -> Iterator[Path]:
    """`path` itself if it is on a disk, else a copy for the time of the body."""
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with path.open("rb") as source, open(copy, "wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


@contextmanager
def appearing_whole(path: Any) -> Iterator[Path]:
    """Yields a temporary file to be written; when the body ends, `path` has its content, and keeps it over a crash.

    If the body fails, `path` is as it was. Several processes may write the same path, as they do when a cluster
    repeats a task that it believed dead: each has a temporary file of its own.
    """
    remote = is_remote(path)
    folder = Path(tempfile.gettempdir()) if remote else Path(path).parent
    temporary = folder / f"{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        yield temporary
        if remote:  # an object exists once its upload is complete
            with open(temporary, "rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        else:
            flush_to_disk(temporary)
            temporary.replace(path)
            flush_to_disk(folder)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Any, text: str) -> str:
    """Writes a small file whole and returns its SHA-256, 64 hex digits."""
    with appearing_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        return file_sha256(temporary)


def write_json(path: Any, content: Any) -> str:
    """Writes JSON whole and returns its SHA-256, 64 hex digits."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False))


def read_json(path: Any) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def file_sha256(path: Path) -> str:
    """SHA-256 of a local file's bytes, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
