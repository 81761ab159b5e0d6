"""What a published data set says of itself: features, splits, where each episode came from, checksums."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow_datasets as tfds

from rldg import __version__
from rldg.data.publishing.files import as_path, file_sha256, local_copy, read_json, write_json, write_text
from rldg.data.publishing.index import Reference
from rldg.data.publishing.publication import Publication
from rldg.data.publishing.sources import Source


@dataclass(frozen=True)
class Shard:
    """A record file of the published data set."""

    split: str
    name: str
    records: int
    bytes: int
    sha256: str


def describe(
    out: Any,
    identity: Any,
    publication: Publication,
    sources: Sequence[Source],
    indexed: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Sequence[Reference]],
    shards: Sequence[Shard],
) -> None:
    """Writes `features.json`, `lineage.json`, `SHA256SUMS`, and last `dataset_info.json`: by it TFDS knows a set."""
    checksums = {shard.name: shard.sha256 for shard in shards}
    checksums["features.json"] = write_json(out / "features.json", sources[0].features)
    checksums["lineage.json"] = write_json(out / "lineage.json", lineage(publication, sources, indexed, splits))
    info = dataset_info(out, identity, publication, shards)
    checksums["dataset_info.json"] = hashlib.sha256(info.encode()).hexdigest()
    write_text(out / "SHA256SUMS", "".join(f"{checksum}  {name}\n" for name, checksum in sorted(checksums.items())))
    write_text(out / "dataset_info.json", info)


def dataset_info(out: Any, identity: Any, publication: Publication, shards: Sequence[Shard]) -> str:
    """The content of `dataset_info.json`, in TFDS's words."""
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[shard.records for shard in shards if shard.split == split],
            num_bytes=sum(shard.bytes for shard in shards if shard.split == split),
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=out, dataset_name=identity.name, split=split, filetype_suffix=publication.file_format
            ),
        )
        for split in sorted({shard.split for shard in shards})
    ]
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=publication.description,
        citation=publication.citation or None,
        license=publication.license or None,
        homepage=publication.homepage or None,
        split_dict=tfds.core.SplitDict(splits),
    )
    info.set_file_format(publication.file_format)
    return info.as_json


def lineage(
    publication: Publication,
    sources: Sequence[Source],
    indexed: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Sequence[Reference]],
) -> dict[str, Any]:
    """What `rldg.data.lineage` reads: the data sets this one was made from, and where each episode stands in them."""
    checksums = {path: checksum for result in indexed for path, checksum in result["checksums"].items()}
    records = {path: count for result in indexed for path, count in result["records"].items()}
    first: dict[str, tuple[int, int]] = {}  # file -> its source, and the number of its first episode in the split
    parents = []
    for number, source in enumerate(sources):
        held: Counter[str] = Counter()
        for file in source.files:
            first[file.path] = number, held[file.split]
            held[file.split] += records[file.path]
        earlier = as_path(source.path) / "lineage.json"
        parents.append(
            {
                "name": source.name,
                "version": source.version,
                "path": source.path,
                "sha256": _source_sha256(source, checksums),
                "episodes": dict(held),
                **({"lineage": read_json(earlier)} if earlier.exists() else {}),
            }
        )
    of_file = {file.path: file.split for source in sources for file in source.files}
    episodes = {
        split: [
            {
                "parent": first[reference.file][0],
                "split": of_file[reference.file],
                "episode": first[reference.file][1] + reference.record,
                "episode_id": reference.episode_id,
            }
            for reference in references
        ]
        for split, references in splits.items()
    }
    parameters = {name: value for name, value in asdict(publication).items() if name != "sources"}
    return {
        "operation": "publish",
        "parameters": parameters,
        "rldg_version": __version__,
        "parents": parents,
        "episodes": episodes,
    }


def _source_sha256(source: Source, checksums: Mapping[str, str]) -> str:
    """Of features and records: SHA-256 of their lines in a `SHA256SUMS`, whether the source has that file or not."""
    names = {as_path(file.path).name: checksums[file.path] for file in source.files}
    with local_copy(as_path(source.path) / "features.json") as path:
        names["features.json"] = file_sha256(path)
    lines = "".join(f"{checksum}  {name}\n" for name, checksum in sorted(names.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
