"""`lineage.json`: which data sets an edited one was made from, by what operation, and where each episode came from."""

from pathlib import Path
from textwrap import shorten
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rldg.data.writer import write_durably
from rldg.errors import DatasetError

LINEAGE = "lineage.json"
MOST_EDITS = 50  # in a row: parents are nested, and JSON that is nested much deeper is refused by its readers


class Origin(BaseModel):
    """Where one episode of an edited data set came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parent: int  # its place in `Lineage.parents`
    split: str
    episode: int  # its number in that split of the parent, from 0
    episode_id: str = ""  # empty for sets without metadata
    changed: tuple[str, ...] = ()  # the columns that were written anew; all others are the parent's, bit for bit


class Parent(BaseModel):
    """A data set that was edited, as it was then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    path: str  # as it was given
    sha256: str  # of `grep -E 'tfrecord|features.json' SHA256SUMS`: features and records
    episodes: dict[str, int]  # split -> how many it held
    lineage: "Lineage | None" = None


class Lineage(BaseModel):
    """How an edited data set came into being."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str
    parameters: dict[str, Any]
    rldg_version: str
    parents: tuple[Parent, ...]
    episodes: dict[str, tuple[Origin, ...]]  # split -> of each of its episodes in their order

    @property
    def depth(self) -> int:
        """How many edits in a row it tells of."""
        return 1 + max((parent.lineage.depth for parent in self.parents if parent.lineage), default=0)

    def trace(self, episode: int, split: str = "train") -> list[tuple[Parent, Origin]]:
        """The way back of one episode: the parent it came from, and its place there; then that one's parent, and so on.

        Raises `DatasetError` if the lineage tells of no such episode, or of a parent that is not listed.
        """
        try:
            origin = self.episodes[split][episode]
            parent = self.parents[origin.parent]
        except (KeyError, IndexError):
            raise DatasetError(f"The lineage says nothing of episode {episode} of the split '{split}'.") from None
        before = parent.lineage.trace(origin.episode, origin.split) if parent.lineage else []
        return [(parent, origin), *before]

    def summary(self) -> list[str]:
        """One line per operation, the last one first: what was done to what."""
        settings = ", ".join(
            f"{name} {shorten(str(value), 80, placeholder=' ...')}"
            for name, value in self.parameters.items()
            if value not in (None, "", [], {}) and value is not False
        )
        of = ", ".join(f"{p.name} {p.version} ({p.path}, {sum(p.episodes.values())} episodes)" for p in self.parents)
        before = [line for parent in self.parents if parent.lineage for line in parent.lineage.summary()]
        return [f"{self.operation} of {of}" + (f": {settings}" if settings else ""), *before]


def read_lineage(folder: Path | str) -> Lineage | None:
    """The lineage of the data set in `folder`; none for one that was not edited.

    Raises `DatasetError` if `lineage.json` is there but is none.
    """
    path = Path(folder) / LINEAGE
    if not path.exists():
        return None
    try:
        return Lineage.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DatasetError(f"{path} is not a lineage: {place or 'content'}: {first['msg']}.") from None


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Writes `lineage.json` into the data set in `folder`."""
    write_durably(folder / LINEAGE, lineage.model_dump_json(exclude_defaults=True).encode())
