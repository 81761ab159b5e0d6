"""RLDS to RLDS in the usual layout: NAME-SPLIT.tfrecord-00000-of-00005, other picture sizes, fewer columns."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from rldg.data.example import Field, encode
from rldg.data.exchange.fields import features_of
from rldg.data.exchange.images import encode_picture
from rldg.data.exchange.selection import described, encodings, records
from rldg.data.images import decode_image
from rldg.data.reader import Dataset
from rldg.data.tfrecord import frame
from rldg.data.writer import dataset_name, write_durably
from rldg.errors import UsageError


@dataclass(frozen=True)
class RldsExport:
    """Exports to RLDS in files of about one size, named as most tools expect them.

    What is not changed stays bit for bit what it was. The folder's name gives the data set's: NAME/1.0.0.

    Args:
        shard_mb: size of a file [MiB]; an episode is never split.
        image_format: encodes every picture anew as "jpeg" (quality 95) or "png" (without loss).
        image_size: height and width that every picture is scaled to (Lanczos).
    """

    shard_mb: float = 200
    image_format: Literal["", "jpeg", "png"] = ""
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not self.shard_mb > 0:
            raise UsageError(f"A file holds more than 0 MiB, not {self.shard_mb}.")
        if self.image_size and min(self.image_size) < 1:
            raise UsageError(f"Pictures cannot have the size {self.image_size[0]} x {self.image_size[1]}.")

    def write(self, splits: dict[str, Dataset], out: Path, advance: Callable[[], Any]) -> dict[str, Any]:
        """Writes every split; `dataset_info.json`, without which nothing loads, comes last."""
        dataset = next(dataset for dataset in splits.values() if len(dataset))
        pictures = self._pictures(dataset)
        if pictures.changed:
            features = features_of(pictures.fields, pictures.encodings)
        else:
            features = described(dataset)
        name, version = dataset_name(out)
        infos = []
        for split, part in splits.items():
            template = tfds.core.ShardedFileTemplate(
                data_dir=tfds.core.Path(out), dataset_name=name, split=split, filetype_suffix="tfrecord"
            )
            lengths, size = _write_shards(pictures.records(part), template, int(self.shard_mb * 2**20), advance)
            infos.append(
                tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=size, filename_template=template)
            )
        info = tfds.core.DatasetInfo(
            builder=tfds.core.DatasetIdentity(name, tfds.core.Version(version), str(out), module_name=""),
            description="Robot episodes in RLDS, exported with rldg.",
            split_dict=tfds.core.SplitDict(infos),
        )
        write_durably(out / "features.json", json.dumps(features, indent=2).encode())
        write_durably(out / "dataset_info.json", info.as_json.encode())
        return {
            "name": name,
            "episodes": sum(map(len, splits.values())),
            "steps": sum(part.steps for part in splits.values()),
            "files": sum(len(info.shard_lengths) for info in infos),
            "bytes": sum(info.num_bytes for info in infos),
        }

    def _pictures(self, dataset: Dataset) -> "_Pictures":
        had = encodings(dataset)
        wanted = dict.fromkeys(had, self.image_format) if self.image_format else had
        fields = {
            name: replace(field, shape=(*self.image_size, 3)) if self.image_size and field.kind == "image" else field
            for name, field in dataset.fields.items()
        }
        again = {n for n, encoding in had.items() if wanted[n] != encoding or fields[n] != dataset.fields[n]}
        return _Pictures(fields, wanted, again)


@dataclass(frozen=True)
class _Pictures:
    """What becomes of the records: which pictures are encoded again, how, and the fields they then have."""

    fields: dict[str, Field]
    encodings: dict[str, str]
    changed: set[str]

    def records(self, dataset: Dataset) -> Iterator[bytes]:
        """The serialised records; without any change as they stand on disk."""
        whole = not self.changed and described(dataset) == _own_features(dataset)
        if whole:
            yield from (dataset.record(index) for index in range(len(dataset)))
            return
        for columns in records(dataset):
            yield encode({name: self._value(name, value) for name, value in columns.items()})

    def _value(self, name: str, value: Any) -> Any:
        if name not in self.changed:
            return value
        if isinstance(value, bytes):
            return self._again(name, value)
        return [self._again(name, content) for content in value]

    def _again(self, name: str, content: bytes) -> bytes:
        picture = decode_image(content)
        height, width = self.fields[name].shape[:2]
        if picture.shape[:2] != (height, width):
            picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
        return encode_picture(picture, self.encodings[name])


def _own_features(dataset: Dataset) -> dict[str, Any]:
    return json.loads((dataset.folder / "features.json").read_text(encoding="utf-8"))


def _write_shards(
    contents: Iterator[bytes], template: Any, limit: int, advance: Callable[[], Any]
) -> tuple[list[int], int]:
    """Fills files up to about `limit` bytes and, once their number is known, names them. Episodes per file, bytes."""
    unnamed: list[Path] = []
    lengths: list[int] = []
    size = 0
    following = next(contents, None)
    while following is not None:
        unnamed.append(Path(template.data_dir) / f"{template.split}-{len(unnamed):05d}.tmp")
        lengths.append(0)
        with open(unnamed[-1], "wb") as file:
            while following is not None and (file.tell() < limit or not lengths[-1]):
                size += file.write(frame(following))
                lengths[-1] += 1
                advance()
                following = next(contents, None)
            file.flush()
            os.fsync(file.fileno())
    for number, path in enumerate(unnamed):
        path.replace(Path(template.sharded_filepath(shard_index=number, num_shards=len(unnamed))))
    return lengths, size
