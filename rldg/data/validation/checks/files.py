"""Whether `dataset_info.json` describes the files that are there."""

from collections.abc import Iterator
from pathlib import Path

from rldg.data.description import INFO, read_info
from rldg.data.shards import shard_count, shard_dataset, shards
from rldg.data.validation.finding import Finding, Place
from rldg.errors import DatasetError


def check_files(folder: Path) -> Iterator[Finding]:
    """Missing and unlisted files, leftovers of a killed process, files of another data set's name."""
    found = shards(folder)
    info = None
    if not (folder / INFO).exists():
        yield Finding("info_missing", f"there is no {INFO}", "the one that TFDS needs to find splits and files")
    else:
        try:
            info = read_info(folder)
        except DatasetError as error:
            yield Finding("info_broken", str(error).rstrip("."), f"a {INFO} as TFDS writes it", Place(file=INFO))
    listed = {split.name: len(split.lengths) for split in info.splits} if info else {}
    for split in sorted(found.keys() | listed.keys()):
        files = found.get(split, {})
        promised = listed.get(split, 0) if info else max((shard_count(path) or 0 for path in files.values()), default=0)
        for number in range(promised):
            if number not in files:
                what = f"file {number} of the {promised} of split '{split}' is missing"
                yield Finding("file_missing", what, "every file that is listed", Place(split))
                break
        for number, path in files.items():
            if info and number >= promised:
                what = f"{INFO} lists {promised} files of split '{split}', which leaves this one out"
                yield Finding("file_unlisted", what, "every file listed, or TFDS skips it", Place(split, path.name))
            if info and info.name and shard_dataset(path) != info.name:
                what = f"the file belongs to '{shard_dataset(path)}', the data set is called '{info.name}'"
                yield Finding("file_name", what, f"{info.name}-{split}.tfrecord-NUMBER", Place(split, path.name))
    for path in sorted(folder.glob("*.tmp")):
        what = "a temporary file that a killed process left"
        yield Finding("file_leftover", what, "only whole files", Place(file=path.name), "warning")
