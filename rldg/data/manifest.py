"""`SHA256SUMS`: the checksum of every file of a data set, in the format that `sha256sum --check` reads."""

import hashlib
from pathlib import Path

from rldg.data.writer import write_durably
from rldg.errors import DatasetError

MANIFEST = "SHA256SUMS"


def data_files(folder: Path) -> list[Path]:
    """What a manifest covers: every file below `folder` but itself, hidden, temporary and bookkeeping files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (MANIFEST, "stage.json")
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
    write_durably(folder / MANIFEST, "".join(lines).encode())
    return folder / MANIFEST


def read_manifest(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 as the manifest lists them; empty without a manifest.

    Raises `DatasetError` naming the line that is not "CHECKSUM  PATH".
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    listed = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        checksum, separator, name = line.partition("  ")
        if not separator or len(checksum) != 64 or not name:
            raise DatasetError(f"{path}:{number}: expected 'SHA256  FILE', got '{line[:80]}'.")
        listed[name] = checksum
    return listed
