"""Successes of the reinforcement learning on their way to a data set: the newest ones, each in a file of its own."""

import json
from collections.abc import Iterable
from pathlib import Path

from rldg.data.example import encode
from rldg.data.manifest import write_manifest
from rldg.data.schema import episode_columns, features_json
from rldg.data.writer import DatasetWriter
from rldg.rollout.episode import Episode
from rldg.stage import write_durably, write_json

FEATURES = "features.json"


class Successes:
    """Keeps the newest `keep` of the successes that were added, over interruptions.

    Args:
        folder: of the files.
        keep: how many.
        count: how many had been added at the checkpoint that is continued from; what came after it is made again.
    """

    def __init__(self, folder: Path, keep: int, count: int) -> None:
        self.folder, self._keep, self.count = folder, keep, count
        folder.mkdir(parents=True, exist_ok=True)
        for number, path in self._files().items():
            if number >= count:
                path.unlink()

    def add(self, episodes: Iterable[Episode]) -> None:
        """Writes episodes; those before them stay until `forget`, since a checkpoint may still speak of them."""
        for episode in episodes:
            if not (self.folder / FEATURES).exists():
                write_json(self.folder / FEATURES, features_json(episode))
            write_durably(self.folder / f"{self.count:07d}.record", encode(episode_columns(episode)))
            self.count += 1

    def forget(self) -> None:
        """Removes what is too old, after a checkpoint."""
        for number, path in self._files().items():
            if number < self.count - self._keep:
                path.unlink()

    def write(self, out: Path) -> int:
        """Writes the kept ones as an RLDS data set, or what is missing of it; returns how many there are."""
        kept = [path for number, path in sorted(self._files().items()) if number >= self.count - self._keep]
        if kept:
            writer = DatasetWriter(out)
            features = json.loads((self.folder / FEATURES).read_text(encoding="utf-8"))
            for index, path in enumerate(kept):
                if index not in writer.indices:
                    writer.write_record(index, path.read_bytes(), features)
            write_manifest(out)
        return len(kept)

    def _files(self) -> dict[int, Path]:
        return {int(path.stem): path for path in self.folder.glob("*.record")}
