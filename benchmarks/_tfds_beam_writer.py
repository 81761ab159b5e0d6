"""The road not taken, for `benchmarks.data_publishing`: records through the Beam writer of TensorFlow Datasets.

Run by Apache Beam's Python. It writes ArrayRecord, since TFDS writes TFRecord through TensorFlow; records are not
decoded, so that only the writer differs.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow_datasets as tfds
import tyro
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_datasets.core import file_adapters, writer

from rldg.data.tfrecord import read_records


@dataclass(frozen=True)
class Args:
    """Arguments of the comparison."""

    sources: tuple[str, ...]
    out: Path


class AsItIs:
    """In place of TFDS's serializer: the record is serialised already."""

    def serialize_example(self, example: bytes) -> bytes:
        """The record itself."""
        return example


def read(path: str) -> Iterator[tuple[str, bytes]]:
    """Key and record of each episode in a file."""
    return ((f"{path}:{offset}", record) for offset, record in read_records(Path(path)))


def main(args: Args) -> None:
    """Writes all episodes of the sources."""
    args.out.mkdir(parents=True)
    template = tfds.core.ShardedFileTemplate(
        data_dir=tfds.core.Path(args.out), dataset_name="benchmark", split="train", filetype_suffix="array_record"
    )
    serializer: Any = AsItIs()
    beam_writer = writer.BeamWriter(
        serializer=serializer,
        filename_template=template,
        hash_salt="train",
        disable_shuffling=False,
        example_writer=writer.ExampleWriter(file_format=file_adapters.FileFormat.ARRAY_RECORD),
    )
    paths = [str(path) for source in args.sources for path in sorted(Path(source).glob("*.tfrecord-*"))]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        beam_writer.write_from_pcollection(pipeline | beam.Create(paths) | beam.FlatMap(read))
    logging.getLogger(__name__).info("%s", beam_writer.finalize())


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
