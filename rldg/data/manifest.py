"""`SHA256SUMS`: the checksum of every file of a data set, in the format that `sha256sum --check` reads."""

import hashlib
import re
from pathlib import Path, PurePosixPath

from rldg.data.writer import write_durably
from rldg.errors import DatasetError

MANIFEST = "SHA256SUMS"
_LINE = re.compile(r"(?P<checksum>[0-9a-fA-F]{64}) [ *](?P<name>.+)")


def data_files(folder: Path) -> list[Path]:
    """What a manifest covers: every file below `folder` but itself, hidden, temporary and bookkeeping files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (MANIFEST, "stage.json", "validation.json")
        and path.suffix != ".tmp"
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> Path:
    """Writes the manifest of the data set in `folder` and returns its path."""
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in data_files(folder)]
    write_durably(folder / MANIFEST, "".join(lines).encode(errors="surrogateescape"))
    return folder / MANIFEST


def read_manifest(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 as the manifest lists them; empty without a manifest.

    Raises `DatasetError` naming the line that is not "CHECKSUM  PATH", or whose path leads out of the folder.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    if not path.is_file():
        raise DatasetError(f"{path} is not a file.")
    listed = {}
    content = path.read_text(encoding="utf-8", errors="surrogateescape")
    for number, line in enumerate(content.removesuffix("\n").split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if not match:
            raise DatasetError(f"{path}:{number}: expected 'SHA256  FILE', got {line[:80]!r}.")
        name = PurePosixPath(match["name"])
        if name.is_absolute() or ".." in name.parts:
            raise DatasetError(f"{path}:{number}: {match['name'][:80]!r} is not a path within the data set.")
        listed[name.as_posix()] = match["checksum"].lower()
    return listed
