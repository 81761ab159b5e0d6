"""What every edit ends in: the chosen episodes become a new data set, with lineage and manifest, as one stage."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.data.editing.source import Place, Plan, Source
from rldg.data.example import Columns, replace_columns
from rldg.data.lineage import MOST_EDITS, Lineage, Origin, Parent, read_lineage, write_lineage
from rldg.data.manifest import write_manifest
from rldg.data.writer import DatasetWriter, write_durably
from rldg.errors import DatasetError, StageError, UsageError
from rldg.stage import RECORD, code_version, stage


def write_edit(
    out: Path,
    operation: str,
    parameters: Mapping[str, Any],
    sources: Sequence[Source],
    plan: Plan,
    *,
    change: Callable[[Place], Columns] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes the episodes of `plan` as the data set `out`; killed, the same call completes it.

    Args:
        out: folder of the new data set; `rldg.data.writer.dataset_name` says what it will be called.
        operation: the verb, for the lineage.
        parameters: what the plan and the changes follow from, besides the sources; JSON.
        sources: the data sets that the plan takes from.
        plan: what the new data set will hold. Records are copied as they are.
        change: the columns of an episode that are to be written anew; it has to give the same at every call.
        overwrite: empties the folder of an earlier run first.

    Returns:
        `episodes`, `successes` and `steps` of the new data set, `splits` (episodes of each), `changed` (episodes with
        changed columns), and `out_of`: how many episodes the sources hold.

    Raises:
        UsageError: `out` is, holds or lies in one of the sources.
        DatasetError: the lineage would be too long.
        StageError: `out` holds something else, or is in use.
    """
    _check_target(out, sources, overwrite)
    changes = change or (lambda place: {})
    plan = {split: places for split, places in sorted(plan.items()) if places}
    lineage = _lineage(operation, parameters, sources, plan, changes)
    if lineage.depth > MOST_EDITS:
        raise DatasetError(f"{sources[0].folder} went through {MOST_EDITS} edits, which is as many as a lineage holds.")
    places = [place for split in plan.values() for place in split]
    inputs = {f"parent_{number}": source.sha256 for number, source in enumerate(sources)}
    seed = parameters.get("seed", 0)
    with stage(out, f"data {operation}", parameters, seed=seed, inputs=inputs, overwrite=overwrite) as current:
        if current.finished:
            return current.result
        write_lineage(out, lineage)
        for labels in sources[0].folder.glob("*.labels.txt"):  # where TFDS keeps the names of classes
            write_durably(out / labels.name, labels.read_bytes())
        features = sources[0].features
        with tqdm(total=len(places), unit="episode", desc=operation, dynamic_ncols=True) as bar:
            for split, chosen in plan.items():
                writer = DatasetWriter(out, split)
                for number, place in enumerate(chosen):
                    if number not in writer.indices:
                        writer.write_record(number, replace_columns(place.record(), changes(place)), features)
                    bar.update()
        write_manifest(out)
        current.result = {
            "episodes": len(places),
            "successes": sum(bool(changes(p).get("episode_metadata/success", p.entry.success)) for p in places),
            "steps": sum(place.entry.length for place in places),
            "splits": {split: len(chosen) for split, chosen in plan.items()},
            "changed": sum(bool(origin.changed) for origins in lineage.episodes.values() for origin in origins),
            "out_of": sum(map(len, sources)),
        }
    return current.result


def _check_target(out: Path, sources: Sequence[Source], overwrite: bool) -> None:
    target = out.resolve()
    for source in sources:
        folder = source.folder.resolve()
        if target == folder or target in folder.parents or folder in target.parents:
            raise UsageError(f"{out} and {source.folder} overlap: an edit gives a new data set in a folder of its own.")
    held = out.is_dir() and any(path.name != ".lock" for path in out.iterdir())
    if held and not overwrite and not (out / RECORD).exists():
        raise StageError(f"{out} holds files but no run of ours ({RECORD}); choose a new folder.")


def _lineage(
    operation: str,
    parameters: Mapping[str, Any],
    sources: Sequence[Source],
    plan: Plan,
    changes: Callable[[Place], Columns],
) -> Lineage:
    numbers = {source: number for number, source in enumerate(sources)}
    return Lineage(
        operation=operation,
        parameters=dict(parameters),
        rldg_version=code_version(),
        parents=tuple(map(_parent, sources)),
        episodes={
            split: tuple(
                Origin(
                    parent=numbers[place.source],
                    split=place.split,
                    episode=place.episode,
                    episode_id=str(place.entry.metadata.get("episode_id", "")),
                    changed=tuple(sorted(changes(place))),
                )
                for place in places
            )
            for split, places in plan.items()
        },
    )


def _parent(source: Source) -> Parent:
    name, version = source.name_and_version
    return Parent(
        name=name,
        version=version,
        path=str(source.folder),
        sha256=source.sha256,
        episodes={split: len(dataset) for split, dataset in source.splits.items()},
        lineage=read_lineage(source.folder),
    )
