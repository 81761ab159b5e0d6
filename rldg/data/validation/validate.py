"""`validate`: reads a data set once, episode by episode, and lets every check look."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rldg.data.description import FEATURES, read_features, read_info
from rldg.data.example import Field, flat_fields
from rldg.data.shards import shards
from rldg.data.tfrecord import scan_records
from rldg.data.validation.check import Evidence, Skip
from rldg.data.validation.finding import Finding, Place, Report
from rldg.data.validation.registry import EPISODE_CHECKS, FOLDER_CHECKS, NAMES
from rldg.data.validation.subject import STEPS, Subject, read_subject
from rldg.errors import DatasetError, UnknownNameError


def validate(folder: Path | str, *, skip: Collection[str] = (), progress: bool = False) -> Report:
    """Checks the data set in `folder`, all its splits; nothing is changed.

    What cannot be read becomes a finding and does not hide the rest. Memory holds one episode, and of each episode the
    little that checks over the whole set remember.

    Args:
        folder: the one with `features.json`.
        skip: names of checks to leave out.
        progress: a progress bar on standard error.

    Raises:
        UnknownNameError: `skip` names no check.
        DatasetError: `folder` holds neither record files nor `features.json`.
    """
    folder = Path(folder)
    for name in skip:
        if name not in NAMES:
            raise UnknownNameError("check", name, NAMES)
    if not folder.is_dir() or not (shards(folder) or (folder / FEATURES).exists()):
        raise DatasetError(f"{folder} holds no data set: neither {FEATURES} nor files NAME-SPLIT.tfrecord-NUMBER.")
    report = Report(skipped=dict.fromkeys(skip, "left out on request"))
    for name, check in FOLDER_CHECKS.items():
        _run(report, name, check, folder)
    fields = _readable_fields(folder)
    evidence: dict[str, list[tuple[Place, Evidence]]] = {}
    for check in EPISODE_CHECKS:
        if reason := check.lacks(fields):
            report.skipped.setdefault(check.name, reason)
    with np.errstate(all="ignore"):  # numbers may be anything
        for subject in _subjects(folder, fields, report, progress):
            for check in EPISODE_CHECKS:
                if check.judge is None:
                    _run(report, check.name, check.look, subject)
                elif check.name not in report.skipped:
                    evidence.setdefault(check.name, []).append((subject.place, check.look(subject)))
        for check in EPISODE_CHECKS:
            if check.judge is not None and check.name in evidence:
                _run(report, check.name, check.judge, evidence[check.name])
    return report


def _run(report: Report, name: str, check: Callable[..., Iterable[Finding]], *arguments: object) -> None:
    """Takes in what a check finds, unless it is to be skipped or says that it cannot look."""
    if name in report.skipped:
        return
    try:
        for finding in check(*arguments):
            report.add(finding)
    except Skip as reason:
        report.skipped[name] = str(reason)


def _readable_fields(folder: Path) -> Mapping[str, Field]:
    """The fields of the episodes; none where `features.json` is broken, which the check of the schema tells."""
    try:
        return flat_fields(read_features(folder))
    except DatasetError:
        return {}


def _subjects(folder: Path, fields: Mapping[str, Field], report: Report, progress: bool) -> Iterator[Subject]:
    """Every episode that can be read; what cannot goes into the report."""
    files = [(split, number, path) for split, found in shards(folder).items() for number, path in found.items()]
    seen = Counter[str]()  # records by split, broken ones too: in a sound set an episode's number
    try:
        info = read_info(folder)
    except DatasetError:
        info = None  # the check of the files tells
    readable = any(name.startswith(STEPS) for name in fields)
    total = sum(path.stat().st_size for *_, path in files if path.is_file())
    with tqdm(total=total, unit="B", unit_scale=True, desc="validate", disable=not progress, dynamic_ncols=True) as bar:
        for split, number, path in files:
            report.episodes.setdefault(split, 0)
            place = Place(split, path.name)
            count = 0
            try:
                for record in scan_records(path):
                    count += 1
                    bar.update(record.size)
                    where = Place(split, path.name, record.number, seen[split])
                    seen[split] += 1
                    if record.fault:
                        lost = f"the record {record.fault}; {record.size} bytes from byte {record.offset} on are lost"
                        report.add(Finding("record_broken", lost, "a whole record; see `rldg data repair`", where))
                    elif readable:
                        found = read_subject(record.content, where, fields)
                        if isinstance(found, Finding):
                            report.add(found)
                        else:
                            report.episodes[split] += 1
                            report.steps += len(found)
                            yield found
            except (DatasetError, OSError) as error:
                report.add(Finding("record_broken", f"the file cannot be read: {error}", "a readable file", place))
            lengths = info.split(split).lengths if info else ()
            if number < len(lengths) and lengths[number] != count:
                what = f"the file holds {count} records where dataset_info.json lists {lengths[number]}"
                report.add(Finding("record_count", what, "as many as listed", place))
    if not sum(report.episodes.values()):
        report.add(Finding("set_empty", "the data set holds no episode that can be read", "at least one"))
