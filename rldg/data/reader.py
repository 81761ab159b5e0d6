"""Reads RLDS data sets: ours, and any other whose `features.json` says what it holds."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.description import read_features, read_info
from rldg.data.example import Field, decode, flat_fields
from rldg.data.images import decode_image
from rldg.data.index import Index, open_index
from rldg.data.schema import split_state
from rldg.data.tfrecord import read_record
from rldg.env.types import STATE_PARTS, ActionContract
from rldg.errors import DatasetError
from rldg.rollout.episode import Episode, EpisodeMetadata

_METADATA = "episode_metadata/"
_STEPS = "steps/"


class EncodedImages(Sequence[np.ndarray]):
    """The pictures of one camera over an episode; each is decoded to (H, W, 3) uint8 RGB when it is asked for."""

    def __init__(self, encoded: list[bytes]) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: Any) -> Any:
        return decode_image(self.encoded[index])

    def decoded(self) -> np.ndarray:
        """(T, H, W, 3) uint8."""
        return np.stack([decode_image(content) for content in self.encoded])


@dataclass(frozen=True)
class Entry:
    """Where an episode lies and what is known of it without its steps."""

    file: Path
    offset: int  # bytes
    record: int  # its place in the file
    length: int  # control steps
    metadata: dict[str, Any]  # the scalars of `episode_metadata`; those of a foreign set may be others, or none

    @property
    def success(self) -> bool:
        """Whether the episode was judged a success; a data set without that label is taken to hold successes only."""
        return bool(self.metadata.get("success", True))


@dataclass(frozen=True)
class StoredEpisode:
    """One episode as it stands on disk.

    `steps` maps names such as "action" or "observation/state" to (T, ...) arrays, text to lists of `str`, and cameras
    to `EncodedImages`.
    """

    metadata: dict[str, Any]
    steps: dict[str, Any]

    def __len__(self) -> int:
        """Number of control steps T."""
        return len(next(iter(self.steps.values())))

    def to_episode(self) -> Episode:
        """The `Episode` that was written (pictures after JPEG). Raises `DatasetError` for a set of another making."""
        fields = dataclasses.fields(EpisodeMetadata)  # those with a default came later, and older sets lack them
        names = [field.name for field in fields if field.default is dataclasses.MISSING]
        needed = ["observation/state", "observation/raw_state", "action", "base_action", "action_normalized"]
        missing = [n for n in names if n not in self.metadata] + [n for n in needed if n not in self.steps]
        if missing:
            raise DatasetError(f"This episode was not written by rldg: it lacks {', '.join(missing)}.")
        observation = {name.removeprefix("observation/"): value for name, value in self.steps.items() if "/" in name}
        images = {n.removeprefix("image_"): v.decoded() for n, v in observation.items() if isinstance(v, EncodedImages)}
        known = {"state", "raw_state", *STATE_PARTS}
        return Episode(
            metadata=EpisodeMetadata(**{f.name: self.metadata[f.name] for f in fields if f.name in self.metadata}),
            instruction=self.steps["language_instruction"][0],
            state=split_state(observation["state"]),
            raw_state=split_state(observation["raw_state"]),
            privileged={n: v for n, v in observation.items() if n not in known and not n.startswith("image_")},
            images=images,
            action=self.steps["action"],
            base_action=self.steps["base_action"],
            action_normalized=self.steps["action_normalized"],
            reward=self.steps["reward"],
            is_terminal=self.steps["is_terminal"],
            is_intervention=self.steps["is_intervention"],
        )


@dataclass(frozen=True)
class Dataset(Sequence[StoredEpisode]):
    """A data set, or a selection of its episodes. Indexing reads an episode from disk; `entries` are in memory."""

    folder: Path
    fields: dict[str, Field]  # flat name -> what every record holds there
    entries: tuple[Entry, ...]
    record_index: Index  # of the whole split

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:
        entry = self.entries[index]
        columns = _decoded(entry.file, entry.record, self.record(index), self.fields)
        return StoredEpisode(
            entry.metadata,
            {
                name.removeprefix(_STEPS): self._presented(name, value)
                for name, value in columns.items()
                if name.startswith(_STEPS)
            },
        )

    def record(self, index: int) -> bytes:
        """The serialised `tf.train.Example` of an episode, as it stands on disk."""
        entry = self.entries[index]
        return read_record(entry.file, entry.offset, entry.record)

    def __iter__(self) -> Iterator[StoredEpisode]:
        return (self[i] for i in range(len(self)))

    def _presented(self, name: str, value: Any) -> Any:
        if self.fields[name].kind == "image":
            return EncodedImages(value)
        return [text.decode(errors="replace") for text in value] if isinstance(value, list) else value

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the step columns that hold pictures, for example "observation/image_wrist"."""
        return tuple(name.removeprefix(_STEPS) for name in _cameras(self.fields))

    @property
    def steps(self) -> int:
        """Control steps in all episodes together."""
        return sum(entry.length for entry in self.entries)

    def filter(self, keep: Callable[[Entry], bool]) -> "Dataset":
        """The episodes that `keep` accepts, in the same order."""
        return replace(self, entries=tuple(entry for entry in self.entries if keep(entry)))

    def successes(self) -> "Dataset":
        """The episodes that were judged a success: what policies are trained on."""
        return self.filter(lambda entry: entry.success)

    def first(self, count: int) -> "Dataset":
        """The first `count` episodes. Raises `DatasetError` if there are fewer."""
        if count > len(self):
            raise DatasetError(f"{self.folder} has only {len(self)} of the {count} episodes asked for.")
        return replace(self, entries=self.entries[:count])


def open_dataset(folder: Path | str, split: str = "train", *, verify: bool = True) -> Dataset:
    """Lists the episodes of the data set in `folder` (the one that holds `features.json`).

    Every record is read and its checksum verified; pictures are not decoded. With `verify` False, a stored index spares
    that as long as the files are those that it was made from (`rldg.data.index`); the first time writes it.

    Raises `DatasetError` if there is no data set, a record is broken (file and record are named), or files are fewer
    than `dataset_info.json` says.
    """
    folder = Path(folder)
    if not (folder / "features.json").exists():
        nested = sorted(str(path.parent) for path in folder.glob("**/features.json"))
        hint = f" There is one in {', '.join(nested)}." if nested else ""
        raise DatasetError(f"{folder} holds no data set: it has no features.json.{hint}")
    known = flat_fields(read_features(folder))
    counted = next((name for name in ("steps/action", "steps/is_last", *known) if name in known), "")
    if not counted.startswith(_STEPS):
        raise DatasetError(f"{folder} is not RLDS: its features hold no 'steps'.")
    paths = sorted(path for path in folder.glob(f"*-{split}.tfrecord-*") if path.suffix != ".tmp")
    listed = read_info(folder).split(split).lengths
    if len(paths) < len(listed):
        raise DatasetError(f"{folder} has {len(paths)} of the {len(listed)} files that its dataset_info.json lists.")
    index = open_index(folder, split, paths, known, _cameras(known), verify=verify)
    counts = np.bincount(index.file, minlength=len(paths)).tolist()
    for path, count, expected in zip(paths, counts, listed, strict=False):
        if count < expected:
            raise DatasetError(f"{path}: record {count} is missing; dataset_info.json lists {expected}.")
    light = {name: field for name, field in known.items() if name.startswith(_METADATA)} | {counted: known[counted]}
    return Dataset(folder, known, tuple(_entries(index, light, counted)), index)


def action_contract(datasets: Iterable[Dataset]) -> ActionContract | None:
    """What the actions of all these episodes mean; None for data sets that do not say.

    Raises `DatasetError` if they mean different things.
    """
    texts = {str(entry.metadata.get("action_contract") or "") for dataset in datasets for entry in dataset.entries}
    if len(texts) > 1:
        raise DatasetError(f"The episodes' actions have different meanings: {'; '.join(sorted(texts))}.")
    text = "".join(texts)
    return ActionContract(**json.loads(text)) if text else None


def _entries(index: Index, light: dict[str, Field], counted: str) -> Iterator[Entry]:
    """The episodes in an index; the column `counted` tells their lengths, the others of `light` are their metadata."""
    for number, file in enumerate(index.file.tolist()):
        columns = {name: index.value(name, number, field) for name, field in light.items()}
        length = len(columns.pop(counted))
        metadata = {
            name.removeprefix(_METADATA): value.decode(errors="replace") if isinstance(value, bytes) else value
            for name, value in columns.items()
        }
        path = index.files[file]
        yield Entry(path, int(index.offset[number]), number - index.first_record[path], length, metadata)


def _cameras(known: dict[str, Field]) -> list[str]:
    """Flat names of the step columns that hold pictures."""
    return sorted(name for name, field in known.items() if name.startswith(_STEPS) and field.kind == "image")


def _decoded(path: Path, record: int, content: bytes, known: dict[str, Field]) -> dict[str, Any]:
    try:
        return decode(content, known)
    except DatasetError as error:
        raise DatasetError(f"{path}: record {record}: {error}.") from None
