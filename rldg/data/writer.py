"""Writes episodes one file each, so that a kill at any instant loses at most the episode in progress."""

import json
import re
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from rldg.data.example import encode
from rldg.data.schema import episode_columns, features_json
from rldg.data.tfrecord import framed
from rldg.errors import DatasetError
from rldg.rollout.episode import Episode
from rldg.stage import write_durably

# One shard per episode. The usual `00012-of-00045` would rename every file whenever an episode is added.
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def dataset_name(folder: Path) -> tuple[str, str]:
    """Name and version of the data set in `folder`: NAME/1.0.0 gives both, any other folder its name and 1.0.0.

    A data set that already stands there keeps its name, even if its folder was renamed.
    """
    info = folder / "dataset_info.json"
    if info.exists():
        content = json.loads(info.read_text(encoding="utf-8"))
        return content["name"], content["version"]
    folder = folder.resolve()
    name, version = (folder.parent.name, folder.name) if _VERSION.fullmatch(folder.name) else (folder.name, "1.0.0")
    name = re.sub(r"\W+", "_", name)
    return (name if name[:1].isalpha() else f"rldg_{name}"), version


class DatasetWriter:
    """Adds episodes to one split of the data set in `folder`, which is created, or continued after whatever ended it.

    An episode exists once its file carries its final name. `features.json` and `dataset_info.json` are derived from
    the files that exist, so `tfds.builder_from_directory(folder)` reads the folder at any time. Several splits of one
    folder are written one after the other, each by a writer of its own.

    Args:
        folder: of the data set.
        split: "train", or what else the episodes are for ("val" is the name that Octo and OpenVLA look for).
        name: of the data set; by default what `dataset_name` says.
    """

    def __init__(self, folder: Path, split: str = "train", *, name: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        self.folder = folder
        known, self._version = dataset_name(folder)
        self.name = name or known
        self._split = split
        self._sizes: dict[int, int] = {}  # episode -> bytes
        for path in folder.glob(f"{self.name}-{split}.tfrecord-*"):
            self._sizes[int(path.name.rsplit("-", 1)[1])] = path.stat().st_size
        self._count = self._bytes = 0  # of the episodes 0 .. n-1 that exist without a gap
        self._info, self._described = self._description()
        features = folder / "features.json"
        self._features = json.loads(features.read_text(encoding="utf-8")) if features.exists() else None
        if self._sizes and self._features:
            self._write_info()

    @property
    def indices(self) -> set[int]:
        """The episodes of this split that exist."""
        return set(self._sizes)

    def path(self, index: int) -> Path:
        """The file of episode `index`."""
        return self.folder / f"{self.name}-{self._split}.tfrecord-{index:05d}"

    def write(self, index: int, episode: Episode) -> None:
        """Adds `episode` as number `index`.

        Raises:
            DatasetError: `index` exists, or the episode has other cameras, picture sizes or parts than the data set.
        """
        self.write_record(index, encode(episode_columns(episode)), features_json(episode))

    def write_record(self, index: int, record: bytes, features: dict[str, Any]) -> None:
        """Adds a serialised `tf.train.Example` as number `index`, as it is.

        Args:
            index: the episode's number in this split.
            record: what `rldg.data.example.encode` gives, or a record of another data set.
            features: what the record holds, as the content of a `features.json`.

        Raises:
            DatasetError: `index` exists, or the data set holds other features.
        """
        path = self.path(index)
        if index in self._sizes:
            raise DatasetError(f"{path} exists already; an episode is never written twice.")
        if self._features is None:
            write_durably(self.folder / "features.json", json.dumps(features, indent=2, sort_keys=True).encode())
            self._features = features
        elif features != self._features:
            raise DatasetError(
                f"Episode {index} has other cameras, picture sizes or state parts than the data set in {self.folder}; "
                f"write it to another folder."
            )
        pieces = framed(record)
        write_durably(path, *pieces)
        self._sizes[index] = sum(map(len, pieces))
        self._write_info()

    def _description(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """`dataset_info.json` as TFDS words it, and in it the part on this split, for `_write_info` to fill in."""
        described = {self._split: ([1], 1), **_described_splits(self.folder, except_for=self._split)}
        splits = [
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=lengths,
                num_bytes=size,
                filename_template=tfds.core.ShardedFileTemplate(
                    data_dir=tfds.core.Path(self.folder),
                    dataset_name=self.name,
                    split=name,
                    filetype_suffix="tfrecord",
                    template=TEMPLATE,
                ),
            )
            for name, (lengths, size) in sorted(described.items())
        ]
        content = tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity(
                self.name, tfds.core.Version(self._version), str(self.folder), module_name=""
            ),
            description="Robot episodes in RLDS, collected with rldg.",
            split_dict=tfds.core.SplitDict(splits),
        ).as_json
        info = json.loads(content)
        return info, next(split for split in info["splits"] if split["name"] == self._split)

    def _write_info(self) -> None:
        """Describes the episodes 0 .. n-1 that exist without a gap, which is all that TFDS can address."""
        while self._count in self._sizes:
            self._bytes += self._sizes[self._count]
            self._count += 1
        self._described |= {"shardLengths": ["1"] * self._count, "numBytes": str(self._bytes)}
        content = json.dumps(self._info, sort_keys=True).encode()
        write_durably(self.folder / "dataset_info.json", content, lasting=False)  # it follows from the others


def _described_splits(folder: Path, except_for: str) -> dict[str, tuple[list[int], int]]:
    """Name -> (episodes per file, bytes) of the other splits that `dataset_info.json` lists."""
    info = folder / "dataset_info.json"
    if not info.exists():
        return {}
    return {
        split["name"]: (list(map(int, split.get("shardLengths", []))), int(split.get("numBytes", 0)))
        for split in json.loads(info.read_text(encoding="utf-8")).get("splits", [])
        if split["name"] != except_for
    }
