"""`publish`: from collections to a data set in TFDS's layout, in two passes over the sources."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rldg.data.publishing.describe import Shard, describe
from rldg.data.publishing.files import as_path, is_remote
from rldg.data.publishing.index import Reference, index_files
from rldg.data.publishing.publication import Publication
from rldg.data.publishing.shards import write_shard
from rldg.data.publishing.sources import Source, SourceFile, find_sources
from rldg.data.publishing.tasks import Engine, Task, in_process, run_tasks
from rldg.errors import DatasetError
from rldg.stage import stage

_INDEX_BYTES = 256 << 20  # of source files that one task of the first pass reads
_INDEX_FILES = 1000


def publish(
    publication: Publication,
    folder: str | os.PathLike[str],
    identity: Any,
    *,
    engine: Engine = in_process,
    state: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Publishes into `folder` and returns what it holds.

    Episodes are shuffled by a digest of their content, so that their order depends on the seed alone. The same call
    gives the same bytes on every engine; killed and called again, it goes on with the shards that are missing. As long
    as it is not finished, the folder has no `dataset_info.json`, and TFDS does not take it for a data set.

    Args:
        publication: what, and how.
        folder: of the new data set; on a cluster a path or URL that all workers see.
        identity: `tfds.core.DatasetIdentity` of the new data set.
        engine: does the work; by default this process.
        state: folder of this machine for the run's record and lock; by default `folder`, which must then be on a disk.
        overwrite: empties the folder first.

    Returns:
        `splits` (name -> episodes, steps, shards, bytes), `failures_left_out`, and `broken`: a sentence for each place.

    Raises:
        DatasetError: see `find_sources` and `index_files`; or nothing is left to publish, or the folder holds
            something else.
        StageError: the folder belongs to another publication, or another process works in it.
    """
    out = as_path(folder)
    sources = find_sources(publication.sources)
    if state is None:
        if is_remote(out):
            raise DatasetError(f"{out} is in an object store: name a folder of this machine for the run's record.")
        state = Path(out)
    elif overwrite:
        out.rmtree(missing_ok=True)
    if out.exists() and any(out.iterdir()) and not (state / "stage.json").exists():
        raise DatasetError(f"{out} holds files, but no publication of ours; choose another folder.")
    configuration = {"name": identity.name, "version": str(identity.version), **asdict(publication)}
    listings = {source.path: str(sorted(source.listing)) for source in sources}
    inputs = {path: blake2b(listing.encode(), digest_size=8).hexdigest() for path, listing in listings.items()}
    with stage(state, "publish", configuration, seed=publication.seed, inputs=inputs, overwrite=overwrite) as current:
        if not current.finished:
            current.result = _publish(publication, sources, out, identity, engine)
    return current.result


def _publish(
    publication: Publication, sources: Sequence[Source], out: Any, identity: Any, engine: Engine
) -> dict[str, Any]:
    work = out / ".work"
    work.mkdir(parents=True, exist_ok=True)
    tasks = [task for source in sources for task in _index_tasks(source, publication)]
    indexed = run_tasks("index", index_files, tasks, work, engine, "task")
    splits = _shuffled(Reference(*fields) for result in indexed for fields in result["references"])
    if not splits:
        left_out = "; failed episodes were left out" if publication.successes else ""
        raise DatasetError(f"There is no episode to publish in {', '.join(publication.sources)}{left_out}.")
    if publication.validation is not None and len(splits) < 2:
        raise DatasetError(
            f"A share of {publication.validation} for validation leaves 'train' or 'val' empty, with "
            f"{len(next(iter(splits.values())))} episodes in all; choose another share, or another seed."
        )
    tasks = [task for split in splits for task in _shard_tasks(split, splits[split], publication, out, identity.name)]
    written = run_tasks("shard", write_shard, tasks, work, engine, "shard")
    shards = [
        Shard(task["split"], as_path(task["path"]).name, **result) for task, result in zip(tasks, written, strict=True)
    ]
    for leftover in out.glob("*.tmp"):  # of workers that were killed
        leftover.unlink()
    describe(out, identity, publication, sources, indexed, splits, shards)
    work.rmtree()
    return {
        "splits": {
            split: {
                "episodes": len(references),
                "steps": sum(reference.steps for reference in references),
                "shards": sum(shard.split == split for shard in shards),
                "bytes": sum(shard.bytes for shard in shards if shard.split == split),
            }
            for split, references in splits.items()
        },
        "failures_left_out": sum(result["failures"] for result in indexed),
        "broken": [fault for result in indexed for fault in result["broken"]],
    }


def _index_tasks(source: Source, publication: Publication) -> Iterator[Task]:
    """The record files of one source in groups that one task reads."""
    groups: list[list[SourceFile]] = [[]]
    for file in source.files:
        if len(groups[-1]) == _INDEX_FILES or sum(other.size for other in groups[-1]) + file.size > _INDEX_BYTES:
            groups.append([])
        groups[-1].append(file)
    for group in filter(None, groups):
        yield {
            "folder": source.path,
            "files": [(file.path, file.split, file.records) for file in group],
            **{name: getattr(publication, name) for name in ("successes", "validation", "seed", "skip_broken")},
        }


def _shuffled(references: Iterable[Reference]) -> dict[str, list[Reference]]:
    """Split -> its episodes in the order in which they are published. Raises `DatasetError` if one occurs twice."""
    splits: dict[str, list[Reference]] = {}
    seen: dict[str, Reference] = {}
    for reference in sorted(references):
        if (other := seen.setdefault(reference.rank, reference)) is not reference:
            raise DatasetError(
                f"{reference.file}: record {reference.record} is the same episode as record {other.record} of "
                f"{other.file}; leave one of them out (rldg data drop)."
            )
        splits.setdefault(reference.split, []).append(reference)
    return dict(sorted(splits.items()))


def _shard_tasks(
    split: str, references: Sequence[Reference], publication: Publication, out: Any, name: str
) -> Iterator[Task]:
    """Cuts a split into shards of equal numbers of episodes."""
    size = sum(reference.size for reference in references)
    count = min(publication.shards or -(-size // (publication.shard_size << 20)), len(references))
    for shard in range(count):
        begin, end = (len(references) * (shard + step) // count for step in (0, 1))
        yield {
            "split": split,
            "path": str(out / f"{name}-{split}.{publication.file_format}-{shard:05d}-of-{count:05d}"),
            "file_format": publication.file_format,
            "seed": publication.seed,
            "records": [(r.file, r.offset, r.record, r.size, r.rank) for r in references[begin:end]],
        }
