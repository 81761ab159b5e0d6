"""Whether the files are those whose checksums `SHA256SUMS` lists."""

from collections.abc import Iterator
from pathlib import Path

from rldg.data.manifest import MANIFEST, data_files, file_sha256, read_manifest
from rldg.data.validation.check import Skip
from rldg.data.validation.finding import Finding, Place
from rldg.errors import DatasetError


def check_manifest(folder: Path) -> Iterator[Finding]:
    """Files that are missing, altered or unlisted. Skipped without a manifest."""
    if not (folder / MANIFEST).exists():
        raise Skip(f"there is no {MANIFEST}; --write-manifest makes one")
    try:
        listed = read_manifest(folder)
    except DatasetError as error:
        yield Finding("manifest_broken", str(error).rstrip("."), "lines of 'SHA256  FILE'", Place(file=MANIFEST))
        return
    present = {path.relative_to(folder).as_posix(): path for path in data_files(folder)}
    for name, checksum in sorted(listed.items()):
        if name not in present:
            yield Finding("manifest_missing", f"{MANIFEST} lists a file that is gone", "the file", Place(file=name))
        elif file_sha256(present[name]) != checksum:
            what = f"the file is not the one whose checksum {MANIFEST} lists"
            yield Finding("manifest_altered", what, f"a file of SHA-256 {checksum}", Place(file=name))
    for name in sorted(present.keys() - listed.keys()):
        what = f"{MANIFEST} does not list the file"
        yield Finding("manifest_unlisted", what, "a checksum for every file", Place(file=name))
